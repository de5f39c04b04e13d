/** `file:line: name` of everything public in a TypeScript file that has no doc comment. */
export function undocumentedTypeScript(file: string): string[];
