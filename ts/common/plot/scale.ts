/** Maps values to positions, and says where the ticks are. */
export interface Scale {
  /** Position of a value, in pixels. */
  at(value: number): number;
  /** Values worth a tick, ascending, inside the domain. */
  readonly ticks: readonly number[];
  /** The domain, rounded outwards to ticks for linear scales. */
  readonly domain: readonly [number, number];
}

/**
 * A scale from `[low, high]` to `[from, to]` pixels. A logarithmic one needs a positive domain; a
 * domain of no length is widened.
 */
export function makeScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  { log = false, ticks = 6 }: { log?: boolean; ticks?: number } = {},
): Scale {
  const domain = log ? logDomain(low, high) : linearDomain(low, high, ticks);
  const forward = log ? Math.log : (value: number) => value;
  const start = forward(domain[0]);
  const span = forward(domain[1]) - start;
  return {
    domain,
    ticks: log ? logTicks(domain, ticks) : linearTicks(domain, ticks),
    at: (value) => from + ((forward(value) - start) / span) * (to - from),
  };
}

/** The step of 1, 2, 2.5 or 5 times a power of ten that cuts `span` into about `count` parts. */
function niceStep(span: number, count: number): number {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 2.5, 5, 10].find((candidate) => candidate * power >= rough * 0.999) ?? 10;
  return factor * power;
}

function linearDomain(low: number, high: number, count: number): [number, number] {
  if (low === high) return low === 0 ? [0, 1] : [Math.min(0, low), Math.max(0, high)];
  const step = niceStep(high - low, count);
  return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
}

function linearTicks([low, high]: readonly [number, number], count: number): number[] {
  const step = niceStep(high - low, count);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => round((first + i) * step));
}

function logDomain(low: number, high: number): [number, number] {
  if (!(low > 0)) throw new RangeError(`a logarithmic scale needs positive values, got ${low}`);
  return low === high ? [low / 2, high * 2] : [low, high];
}

/** Ticks of a logarithmic scale, from the densest set of round numbers that is not too many. */
function logTicks([low, high]: readonly [number, number], count: number): number[] {
  const sets = [
    [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9],
    [1, 1.5, 2, 3, 4, 5, 7],
    [1, 2, 3, 5],
    [1, 2, 5],
    [1, 3],
    [1],
  ];
  let chosen: number[] = [];
  for (const mantissas of sets) {
    chosen = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const mantissa of mantissas) {
        const value = round(mantissa * 10 ** power);
        if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) chosen.push(value);
      }
    }
    if (chosen.length <= count + 2) break;
  }
  return chosen;
}

/** Takes the dust of binary fractions off. */
function round(value: number): number {
  return Number(value.toPrecision(12));
}
