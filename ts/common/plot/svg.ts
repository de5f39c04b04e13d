/** Colours that stay apart for colour-blind eyes (Okabe and Ito, then Tol), the strongest first. */
export const PALETTE = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#7f7f7f',
  '#8c6d31',
  '#882255',
  '#332288',
] as const;

/** Grey tones of text, axes and grid. */
export const INK = { text: '#222222', soft: '#666666', axis: '#888888', grid: '#e6e6e6' } as const;

/** Text made safe inside SVG, in content and in attributes. */
export function escapeText(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return (
    text
      .replace(/[&<>"']/g, (character) => entities[character] as string)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML does not allow them
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
  );
}

/** One element; numbers are rounded to a hundredth of a pixel, undefined attributes left out. */
export function element(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  content?: string,
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const text = typeof value === 'number' ? String(Number(value.toFixed(2))) : (value as string);
      return ` ${key}="${escapeText(text)}"`;
    })
    .join('');
  return content === undefined ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

/** A line of text at a baseline. */
export function label(
  x: number,
  y: number,
  text: string,
  attributes: Readonly<Record<string, string | number | undefined>> = {},
): string {
  return element('text', { x, y, ...attributes }, escapeText(text));
}

/** Width that a line of text takes, in pixels: an estimate that errs on the wide side. */
export function textWidth(text: string, size: number): number {
  return [...text].length * size * 0.58;
}

/** A whole picture on white ground, with title and subtitle at the top left. */
export function document(
  {
    width,
    height,
    title,
    subtitle,
  }: { width: number; height: number; title: string; subtitle?: string | undefined },
  content: readonly string[],
): string {
  const head = [
    element('title', {}, escapeText(title)),
    element('rect', { width, height, fill: '#ffffff' }),
    label(MARGIN, 28, title, { 'font-size': 17, 'font-weight': 600 }),
    ...(subtitle === undefined
      ? []
      : [label(MARGIN, 48, subtitle, { 'font-size': 12, fill: INK.soft })]),
  ];
  return `${element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'font-family': "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
      'font-size': 12,
      fill: INK.text,
    },
    `\n${[...head, ...content].join('\n')}\n`,
  )}\n`;
}

/** Space around everything. */
export const MARGIN = 20;

/** A number as ticks and labels show it. */
export function tickText(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return String(Number(value.toPrecision(3)));
}
