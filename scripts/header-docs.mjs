// Classes and functions in C++ headers without a doc comment. A small scanner rather than a parser:
// it follows braces, and knows namespaces, classes and their access sections.
import { readFileSync } from 'node:fs';

/** The text with comments, literals and preprocessor lines blanked; lines and columns stay. */
function codeOnly(text) {
  const blank = (match) => match.replace(/[^\n]/g, ' ');
  return text
    .replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'/g, blank)
    .replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, blank);
}

/** What a declaration's text introduces: a scope to look into, something to document, or nothing. */
function classify(text) {
  const plain = text.replace(/\s+/g, ' ').replace(/^template ?<.*?> (?=\w)/, '');
  if (/^(inline )?namespace\b/.test(plain) || /^extern *$/.test(plain)) return { scope: 'public' };
  const type = /^(class|struct|union|enum(?: class)?) (?:\[\[.*?\]\] )?(\w+)/.exec(plain);
  if (type && !plain.includes('(')) {
    return { name: type[2], scope: type[1] === 'class' ? 'private' : 'public', isType: true };
  }
  if (/^(using|typedef|friend|static_assert|return)\b/.test(plain) || /^[A-Z_]+ ?\(/.test(plain)) {
    return {};
  }
  if (/\boverride\b|= ?(default|delete) ?$|\boperator\b/.test(plain)) return {};
  const called = /([~\w]+) ?\(/.exec(plain);
  return called && !plain.slice(0, called.index).includes('=') ? { name: called[1] } : {};
}

/** `file:line: name` of every class and function in a header that has no comment above or beside it. */
export function undocumentedHeader(file) {
  const raw = readFileSync(file, 'utf8');
  const lines = raw.split('\n');
  const code = codeOnly(raw);
  const lineAt = (position) => code.slice(0, position).split('\n').length - 1;
  const missing = [];
  const scopes = [{ access: 'public', type: undefined }];
  let start = 0;
  let previous = { line: -2, documented: false };

  const declare = (end, opens) => {
    const text = code.slice(start, end);
    const first = start + text.search(/\S/);
    const found = text.trim() === '' ? {} : classify(text.trim());
    const scope = scopes.at(-1);
    const isConstructor = found.name?.replace('~', '') === scope.type;
    const isForward = found.isType && !opens;
    if (found.name && scope.access === 'public' && !isConstructor && !isForward) {
      const line = lineAt(first);
      const last = lineAt(end);
      const documented =
        /^\s*\/\/|\*\/\s*$/.test(lines[line - 1] ?? '') ||
        lines.slice(line, last + 1).some((text) => text.includes('///')) ||
        (previous.line === line - 1 && previous.documented);
      if (!documented) missing.push(`${file}:${line + 1}: ${found.name}`);
      previous = { line: last, documented };
    }
    if (opens) {
      const inside = scope.access === 'none' || !found.scope ? 'none' : found.scope;
      scopes.push({ access: inside, type: found.isType ? found.name : undefined });
    }
    start = end + 1;
  };

  for (let i = 0; i < code.length; i++) {
    const scope = scopes.at(-1);
    if (code[i] === '{') declare(i, true);
    else if (code[i] === '}') {
      const closed = scopes.pop();
      if (closed.access === 'none') previous.line = lineAt(i);
      start = i + 1;
    } else if (code[i] === ';') declare(i, false);
    else if (code[i] === ':' && scope.type) {
      const access = /^\s*(public|protected|private)\s*$/.exec(code.slice(start, i))?.[1];
      if (access) {
        scope.access = access;
        start = i + 1;
      }
    }
  }
  return missing;
}
