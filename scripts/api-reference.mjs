// Writes docs/api.md from the doc comments of everything that ts/index.ts exports. With --check it only
// fails when the file says something else.
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import ts from 'typescript';
import { fail, say } from './process.mjs';

const entry = 'ts/index.ts';
const config = ts.getParsedCommandLineOfConfigFile('tsconfig.build.json', undefined, {
  ...ts.sys,
  onUnRecoverableConfigFileDiagnostic: ({ messageText }) =>
    fail('docs', String(messageText), 'correct tsconfig.build.json'),
});
const program = ts.createProgram([entry], config.options);
const checker = program.getTypeChecker();
const source = program.getSourceFile(entry);
const module = source && checker.getSymbolAtLocation(source);
if (!module) fail('docs', `${entry} exports nothing`, 'run this in the root of a checkout');

/** The text of a doc comment with its tags as a list. */
function documentation(symbol) {
  const text = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  const tags = symbol.getJsDocTags(checker).map(({ name, text: parts }) => {
    const said = ts.displayPartsToString(parts).trim();
    if (name !== 'param') return `- **${name}** ${said}`;
    const [parameter, ...rest] = said.split(/\s+/);
    return `- \`${parameter}\`: ${rest.join(' ').replace(/^- /, '')}`;
  });
  return [text.trim(), tags.join('\n')].filter((part) => part !== '').join('\n\n');
}

/** A declaration as it stands in the source, without its body. */
function signature(node) {
  const text = node.getText();
  const head = node.body ? text.slice(0, node.body.getStart() - node.getStart()) : text;
  return head.replace(/^export (default )?/, '').trimEnd();
}

function isPublic(member) {
  const flags = ts.getCombinedModifierFlags(member);
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  return (flags & hidden) === 0 && !(member.name && ts.isPrivateIdentifier(member.name));
}

function classMembers(declaration) {
  return declaration.members.filter(isPublic).map((member) => {
    const symbol = member.symbol && documentation(member.symbol);
    const head = member.initializer
      ? member.getText().slice(0, member.initializer.getStart() - member.getStart())
      : signature(member);
    return `\`\`\`ts\n${head.replace(/\s*[;=]\s*$/, '').replace(/\n {2}/g, '\n')}\n\`\`\`\n\n${symbol ?? ''}`.trimEnd();
  });
}

const kinds = ['Functions', 'Classes', 'Types', 'Constants'];
const sections = Object.fromEntries(kinds.map((kind) => [kind, []]));
for (const exported of checker.getExportsOfModule(module)) {
  const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0;
  const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported;
  const declarations = (symbol.declarations ?? []).filter((node) => !ts.isSourceFile(node));
  if (declarations.length === 0) continue;
  const [first] = declarations;
  const file = relative('.', first.getSourceFile().fileName);
  const parts = [`### ${exported.name}`];
  let kind = 'Types';
  if (ts.isClassDeclaration(first)) {
    kind = 'Classes';
    const heritage = (first.heritageClauses ?? []).map((clause) => clause.getText());
    if (heritage.length > 0) parts.push(`\`${heritage.join(' ')}\``);
    parts.push(documentation(symbol), ...classMembers(first));
  } else {
    if (ts.isFunctionDeclaration(first)) kind = 'Functions';
    if (ts.isVariableDeclaration(first)) kind = 'Constants';
    const overloads =
      declarations.length > 1 ? declarations.filter((node) => !node.body) : declarations;
    const text = overloads.map(signature).join('\n');
    parts.push(`\`\`\`ts\n${text}\n\`\`\``, documentation(symbol));
  }
  parts.push(`Source: [${file}](../${file})`);
  sections[kind].push({ name: exported.name, text: parts.filter(Boolean).join('\n\n') });
}

const lines = [
  '# API reference',
  'Made by `npm run docs` from the doc comments in `ts/`. Everything here is exported by `espalier`.',
];
for (const kind of kinds) {
  const entries = sections[kind].sort((a, b) => a.name.localeCompare(b.name, 'en'));
  if (entries.length === 0) continue;
  lines.push(`## ${kind}`, ...entries.map(({ text }) => text));
}
const path = 'docs/api.md';
const reference = `${lines.join('\n\n')}\n`;
if (!process.argv.includes('--check')) {
  writeFileSync(path, reference);
} else if (readFileSync(path, 'utf8') !== reference) {
  fail('docs', `${path} is out of date`, 'npm run docs');
}
say(
  `docs: ${path}: ${kinds.map((kind) => `${sections[kind].length} ${kind.toLowerCase()}`).join(', ')}`,
);
