/** The text content of a well-formed XML document without comments or CDATA; throws otherwise. */
export function textOf(xml: string): string[] {
  const open: string[] = [];
  const texts: string[] = [];
  const token = /<(\/?)([A-Za-z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|([^<]+)/y;
  let roots = 0;
  while (token.lastIndex < xml.length) {
    const at = token.lastIndex;
    const match = token.exec(xml);
    if (match === null) throw new Error(`not well-formed at: ${xml.slice(at, at + 60)}`);
    const [, closing, name, attributes = '', empty, text] = match;
    for (const [piece] of `${attributes}${text ?? ''}`.matchAll(/&[^;\s]*;?/g)) {
      if (!/^&(amp|lt|gt|quot|#39);$/.test(piece)) throw new Error(`bad entity ${piece}`);
    }
    if (text !== undefined) {
      if (text.trim() !== '') texts.push(text);
      if (text.trim() !== '' && open.length === 0) throw new Error('text outside the root');
      continue;
    }
    const names = [...attributes.matchAll(/([\w:-]+)=/g)].map(([, attribute]) => attribute);
    if (new Set(names).size !== names.length) throw new Error(`an attribute twice in ${match[0]}`);
    if (closing === '/') {
      if (open.pop() !== name) throw new Error(`unexpected </${name}>`);
    } else {
      if (open.length === 0) roots++;
      if (empty !== '/') open.push(name as string);
    }
  }
  if (open.length > 0 || roots !== 1) throw new Error(`left open: ${open.join(', ')}`);
  return texts;
}
