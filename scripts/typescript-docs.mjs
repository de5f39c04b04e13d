// Exported TypeScript symbols and public class members without a doc comment.
import { readFileSync } from 'node:fs';
import ts from 'typescript';

const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected | ts.ModifierFlags.Override;

function isDocumented(node) {
  return ts.getJSDocCommentsAndTags(node).some((doc) => ts.isJSDoc(doc) && doc.comment);
}

/** True when `node` starts on the line after `previous` ended: one comment serves such a group. */
function follows(source, previous, node) {
  if (!previous) return false;
  const lineOf = (position) => source.getLineAndCharacterOfPosition(position).line;
  return lineOf(node.getStart()) === lineOf(previous.getEnd()) + 1;
}

function isExported(node) {
  return (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
}

function* undocumentedMembers(declaration) {
  const seen = new Set();
  for (const member of declaration.members) {
    if (!member.name || ts.isPrivateIdentifier(member.name)) continue;
    if ((ts.getCombinedModifierFlags(member) & hidden) !== 0) continue;
    const name = member.name.getText();
    // One comment serves a getter with its setter, and all overloads.
    if (!seen.has(name) && !isDocumented(member)) yield { node: member, name };
    seen.add(name);
  }
}

function* undocumented(source) {
  const seen = new Set();
  let group;
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement)) {
      if (!(statement.modifiers ?? []).some((m) => m.kind === ts.SyntaxKind.ExportKeyword))
        continue;
      if (isDocumented(statement) || follows(source, group, statement)) {
        group = statement;
        continue;
      }
      for (const declaration of statement.declarationList.declarations) {
        yield { node: declaration, name: declaration.name.getText() };
      }
    } else if (ts.isDeclarationStatement(statement) && statement.name && isExported(statement)) {
      const name = statement.name.getText();
      if (!seen.has(name) && !isDocumented(statement)) yield { node: statement, name };
      seen.add(name);
      if (!ts.isClassDeclaration(statement)) continue;
      for (const member of undocumentedMembers(statement)) {
        yield { ...member, name: `${name}.${member.name}` };
      }
    }
  }
}

/** `file:line: name` of everything public in a TypeScript file that has no doc comment. */
export function undocumentedTypeScript(file) {
  const text = readFileSync(file, 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  return [...undocumented(source)].map(({ node, name }) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    return `${file}:${line + 1}: ${name}`;
  });
}
