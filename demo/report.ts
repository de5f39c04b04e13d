import { barPlot } from '../ts/common/plot/bar-plot.js';

/** What became of the model under one method; `before` is the model as it was. */
export interface Outcome {
  method: string;
  parameters: number;
  /** Perplexity on the held-out stories and on the Wizard of Oz. */
  perplexity: number[];
  /** Time that pruning took. */
  seconds: number;
}

/** How much a model forgot: the rise of its log-perplexity over the model before. */
function rise(before: Outcome, after: Outcome, text: number): number {
  return Math.log(after.perplexity[text] as number) - Math.log(before.perplexity[text] as number);
}

/** What the table says, in two sentences. */
export function meaning(before: Outcome, after: readonly Outcome[]): string {
  const comp = after.find(({ method }) => method === 'comp') as Outcome;
  const others = after.filter((outcome) => outcome !== comp);
  const [stories, oz] = [0, 1].map((text) => {
    const best = others.reduce((a, b) => (rise(before, a, text) <= rise(before, b, text) ? a : b));
    const share = rise(before, comp, text) / rise(before, best, text);
    return { best: best.method, share: `${Math.round(100 * share)} %` };
  }) as [{ best: string; share: string }, { best: string; share: string }];
  return `On stories that pruning has not seen, COMP costs ${stories.share} of the log-perplexity that ${stories.best}, the
best of the other methods, costs: the weights that stay are solved anew to do the work of those that went.
On the Wizard of Oz, a kind of text that neither the model nor the calibration has seen, it costs ${oz.share} of
what ${oz.best} costs.`;
}

/** The table as bars on a logarithmic scale. */
export function picture(before: Outcome, after: readonly Outcome[]): string {
  return barPlot({
    title: 'What is left of a language model when a fifth of it is removed',
    subtitle: `babyllama, ${before.parameters.toLocaleString('en-US')} parameters before; calibrated on stories disjoint from both texts`,
    xLabel: 'perplexity (logarithmic; lower is better)',
    log: true,
    groups: ['held-out stories', 'Wizard of Oz'],
    reference: { name: 'before pruning', values: before.perplexity },
    rows: after.map(({ method, perplexity }) => ({
      label: method,
      values: perplexity,
      strong: method === 'comp',
    })),
  });
}
