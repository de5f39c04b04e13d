/**
 * Python's view of strings, where it decides what a published prompt is: its white space is not that
 * of JavaScript (which trims U+FEFF, but not U+001C to U+001F and U+0085).
 */
const SPACE =
  '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

const LEADING = new RegExp(`^[${SPACE}]+`, 'u');
const TRAILING = new RegExp(`(?<![${SPACE}])[${SPACE}]+$`, 'u');

/** `text.rstrip()` */
export function stripEnd(text: string): string {
  return text.replace(TRAILING, '');
}

/** `text.strip()` */
export function strip(text: string): string {
  return stripEnd(text.replace(LEADING, ''));
}

/** `text.capitalize()`: the first character in upper case, all others in lower case. */
export function capitalize(text: string): string {
  const [first = ''] = text;
  const upper = first.toUpperCase();
  const [head = ''] = upper;
  return head + upper.slice(head.length).toLowerCase() + text.slice(first.length).toLowerCase();
}

/** `len(text)`: code points, not UTF-16 units. */
export function length(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
