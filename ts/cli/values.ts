import { InvalidArgumentError } from 'commander';
import { parseBytes } from '../common/parse-bytes.js';

/** A parser of option values; what it refuses is a usage error. */
export type ValueParser<T> = (text: string, previous?: unknown) => T;

/** A whole number from `low` to `high`. */
export function integer(low: number, high = Number.MAX_SAFE_INTEGER): ValueParser<number> {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= low && value <= high) {
      return value;
    }
    const range =
      high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `from ${low} to ${high}`;
    throw new InvalidArgumentError(`Expected a whole number ${range}.`);
  };
}

/** Whole numbers of at least `low`, separated by commas. */
export function integers(low: number): ValueParser<number[]> {
  return (text) => text.split(',').map((part) => integer(low)(part));
}

/** A number from `low` to `high`; `open` excludes both ends. */
export function number(low: number, high: number, { open = false } = {}): ValueParser<number> {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    const inside = open ? value > low && value < high : value >= low && value <= high;
    if (inside) return value;
    const upper = Number.isFinite(high) ? ` and ${high}` : '';
    throw new InvalidArgumentError(
      upper === ''
        ? `Expected a number ${open ? 'over' : 'of at least'} ${low}.`
        : `Expected a number between ${low}${upper}${open ? ', both excluded' : ''}.`,
    );
  };
}

/** `auto`, or what `parser` takes. */
export function autoOr<T>(parser: ValueParser<T>): ValueParser<T | 'auto'> {
  return (text) => {
    if (text === 'auto') return text;
    try {
      return parser(text);
    } catch (error) {
      throw new InvalidArgumentError(`${(error as Error).message.replace(/\.$/, '')}, or auto.`);
    }
  };
}

/** File names separated by commas; the option may be repeated. */
export const files: ValueParser<string[]> = (text, previous) => {
  const names = text.split(',').filter((name) => name !== '');
  if (names.length === 0) throw new InvalidArgumentError('Expected a file name.');
  return [...((previous as string[] | undefined) ?? []), ...names];
};

/** A number of bytes, such as `2GB` or `512MiB`. */
export const byteCount: ValueParser<number> = (text) => {
  try {
    return parseBytes(text, 'size');
  } catch {
    throw new InvalidArgumentError('Expected a size such as 2GB or 512MiB.');
  }
};
