// Fails when a public symbol has no doc comment: exports and public members in ts/, classes and
// functions in the headers of binding/ and cuda/.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { undocumentedHeader } from './header-docs.mjs';
import { undocumentedTypeScript } from './typescript-docs.mjs';

const below = (directory, ending) =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(directory, name))
    .sort();

const missing = [
  ...below('ts', '.ts').flatMap(undocumentedTypeScript),
  ...below('binding', '.h').flatMap(undocumentedHeader),
  ...below('cuda', '.h').flatMap(undocumentedHeader),
];
for (const line of missing) console.log(line);
console.log(
  missing.length === 0
    ? 'comments: every public symbol has one'
    : `comments: ${missing.length} public symbols have none`,
);
process.exitCode = missing.length > 0 ? 1 : 0;
