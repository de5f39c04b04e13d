import type { ModelConfig } from '../../formats/model-config.js';
import { channelParameters, modelParameters } from './parameter-budget.js';
import { reaches, type Split, splitRatio } from './split.js';

/**
 * Gives every layer a width of its own: what a uniform split removes from the MLPs in all is shared
 * out in proportion to p_l = max(BI) − BI_l + c with c the mean of max(BI) − BI, clipped to twice the
 * mean and rescaled to the same number of parameters [reconstructed].
 * @param influence block influence by layer
 * @param align widths become multiples of it
 */
export function distributeChannels(
  config: ModelConfig,
  split: Split,
  influence: readonly number[],
  ratio: number,
  align: number,
): Split {
  const stays = config.layers.map((_, i) => i).filter((i) => !split.dropped.includes(i));
  const most = Math.max(...stays.map((i) => influence[i] as number));
  const gaps = stays.map((i) => most - (influence[i] as number));
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / Math.max(1, gaps.length);
  // Layers of equal influence share equally.
  const shares = gaps.map((gap) => (mean > 0 ? Math.min(gap + mean, 4 * mean) / (2 * mean) : 1));
  const at = (scale: number): Split => {
    const channels = config.layers.map((layer) => layer.intermediateSize);
    for (const [k, i] of stays.entries()) {
      const width = channels[i] as number;
      const kept = Math.floor((width * (1 - scale * (shares[k] as number))) / align) * align;
      channels[i] = Math.min(width, Math.max(align, kept));
    }
    const next = { ...split, channels };
    return { ...next, ratio: splitRatio(config, next) };
  };
  let low = 0;
  let high = 1 / Math.min(...shares);
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (reaches(at(middle).ratio, ratio)) high = middle;
    else low = middle;
  }
  const widths = config.layers.map((layer) => layer.intermediateSize);
  return giveBack(config, at(high), widths, stays, ratio, align);
}

/**
 * Rounding makes every layer a little narrower than needed: widens those that can be widened.
 * @param widths the most channels, by layer
 * @param layers which may be widened
 */
export function giveBack(
  config: ModelConfig,
  split: Split,
  widths: readonly number[],
  layers: readonly number[],
  ratio: number,
  align: number,
): Split {
  const step = (align * channelParameters(config)) / modelParameters(config);
  const channels = [...split.channels];
  let actual = split.ratio;
  for (const i of [...layers].reverse()) {
    const width = widths[i] as number;
    if (!reaches(actual - step, ratio) || (channels[i] as number) + align > width) continue;
    channels[i] = (channels[i] as number) + align;
    actual -= step;
  }
  return { ...split, channels, ratio: splitRatio(config, { ...split, channels }) };
}
