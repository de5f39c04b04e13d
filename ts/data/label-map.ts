import { EspalierError } from '../common/errors.js';

/** More different classes are a sign of a wrong column. */
const MAX_CLASSES = 10_000;

/**
 * The names of the classes in the order of their numbers: whole numbers by size, other names by the
 * order of their characters.
 * @throws EspalierError `CONFIG` for fewer than two classes or more than 10,000.
 */
export function orderLabels(found: ReadonlySet<string>): string[] {
  if (found.size < 2 || found.size > MAX_CLASSES) {
    const sample = [...found].slice(0, 3).join(', ');
    throw new EspalierError('CONFIG', `the data has ${found.size} classes (${sample})`, {
      remedy: 'check which column holds the label',
    });
  }
  const names = [...found];
  const numbers = names.every((name) => /^-?\d{1,15}$/.test(name));
  return names.sort((x, y) => (numbers ? Number(x) - Number(y) : x < y ? -1 : 1));
}

/**
 * The number of a class: by its name, or by a number where the names are none.
 * @returns undefined when it is none of the classes
 */
export function labelNumber(label: string, labels: readonly string[]): number | undefined {
  const named = labels.indexOf(label);
  if (named >= 0) return named;
  const number = /^\d{1,9}$/.test(label) ? Number(label) : labels.length;
  return number < labels.length ? number : undefined;
}
