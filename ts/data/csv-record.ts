/**
 * Takes one record of comma-separated values apart (RFC 4180): fields in double quotes may hold
 * separators, line ends and doubled quotes.
 * @param separator one character
 * @returns the fields, or a sentence that says what is wrong
 */
export function parseCsvRecord(text: string, separator = ','): string[] | { why: string } {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    if (text[at] !== '"') {
      const end = text.indexOf(separator, at);
      const field = end < 0 ? text.slice(at) : text.slice(at, end);
      fields.push(field);
      if (end < 0) return fields;
      at = end + 1;
      continue;
    }
    let field = '';
    for (at++; ; ) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return { why: 'a quoted field never ends' };
      field += text.slice(at, quote);
      at = quote + 1;
      if (text[at] !== '"') break;
      field += '"';
      at++;
    }
    fields.push(field);
    if (at === text.length) return fields;
    if (text[at] !== separator) {
      return { why: `a quoted field is followed by ${JSON.stringify(text[at])}` };
    }
    at++;
  }
}
