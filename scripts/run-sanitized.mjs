// Builds the native tests with AddressSanitizer and UndefinedBehaviorSanitizer and runs them, or those
// that doctest's own options pick: node scripts/run-sanitized.mjs -tc='*AMX*'
import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { buildNativeTests } from './native-tests.mjs';

const program = buildNativeTests('build-sanitize', {
  defines: ['ESPALIER_SANITIZE=ON', 'CMAKE_BUILD_TYPE=Release'],
});
const options = ['--no-colors=true', ...process.argv.slice(2)];
const { stdout, stderr, status, signal } = spawnSync(program, options, {
  encoding: 'utf8',
  env: {
    ...process.env,
    ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0',
    LSAN_OPTIONS: `suppressions=${resolve('scripts', 'lsan.supp')}:print_suppressions=0`,
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  },
});
process.stdout.write(`${stdout}${stderr}`);
const [, total = '0', passed = '0'] = /test cases: +(\d+) \| +(\d+) passed/.exec(stdout) ?? [];
const wrong = Number(total) - Number(passed);
const failed = wrong === 0 && (status !== 0 || passed === '0') ? 1 : wrong;
if (status !== 0) console.log(`the program ended with ${status ?? signal}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
