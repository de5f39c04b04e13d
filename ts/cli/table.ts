import type { Style } from './style.js';

/** A column of a table. */
export interface Column {
  title: string;
  /** Numbers go to the right; default left. */
  align?: 'left' | 'right';
}

/** Lays rows out in aligned columns under their titles; ends with a line break. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  style: Style,
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(...[title, ...rows.map((row) => row[index] ?? '')].map(textWidth)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => fit(cells[index] ?? '', widths[index] ?? 0, align ?? 'left'))
      .join('  ')
      .trimEnd();
  const head = style.dim(line(columns.map(({ title }) => title)));
  return [head, ...rows.map(line)].map((text) => `${text}\n`).join('');
}

/** Lays name and value out in two columns; ends with a line break. */
export function pairs(entries: readonly (readonly [string, string])[], style: Style): string {
  const width = Math.max(...entries.map(([name]) => textWidth(name)));
  return entries
    .map(([name, value]) => `${style.dim(fit(name, width, 'left'))}  ${value}`.trimEnd())
    .map((text) => `${text}\n`)
    .join('');
}

function fit(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'left' ? text + space : space + text;
}

/** Characters that show: escape sequences take no room. */
function textWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return [...text.replace(/\x1b\[\d+m/g, '')].length;
}
