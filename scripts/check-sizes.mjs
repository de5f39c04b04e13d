// Fails when a source file is too long to be read in one sitting.
import { readFileSync } from 'node:fs';
import { run } from './process.mjs';

const limit = 400;
const tracked = run('sizes', 'git', ['ls-files', '-co', '--exclude-standard'], {
  remedy: 'use git',
});
const long = tracked
  .split('\n')
  .filter((name) => /\.(ts|mts|mjs|cc|cu|h|py|cmake|sh)$/.test(name) || name === 'CMakeLists.txt')
  .map((name) => ({ name, lines: readFileSync(name, 'utf8').split('\n').length - 1 }))
  .filter(({ lines }) => lines > limit);
for (const { name, lines } of long) console.log(`${name}: ${lines} lines, at most ${limit}`);
console.log(long.length === 0 ? 'sizes: every file fits' : `sizes: ${long.length} too long`);
process.exitCode = long.length > 0 ? 1 : 0;
