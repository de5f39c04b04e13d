// Makes build/espalier-gpu.tar.xz: all that a bare Linux machine with an NVIDIA driver needs to run
// the op tests and the benchmarks on its GPU, wherever it is unpacked. Node, the addon with its
// libraries, the CUDA library, the native test program, sources, benchmarks and small models.
//
// It packs what is built: npm run pack:gpu-bundle builds first.
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNativeTests } from './native-tests.mjs';
import { fail, run, say } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

const sizeLimit = 55e6;
const platform = `${process.platform}-${process.arch}`;
const bundle = join('build', 'espalier-gpu');
const archive = `${bundle}.tar.xz`;

const library = join('build', 'cuda', 'libespalier_cuda.so');
if (!existsSync(library)) fail('GPU bundle', `there is no ${library}`, 'npm run build:cuda');
if (!existsSync(join('prebuilds', platform))) {
  fail('GPU bundle', `there is no prebuilds/${platform}`, 'npm run prebuild');
}
const tests = buildNativeTests();

/** Names of `roots` and of everything that they need, as npm laid it out. */
function closure(roots, found = new Set()) {
  for (const name of roots) {
    const manifest = join('node_modules', name, 'package.json');
    if (found.has(name) || !existsSync(manifest)) continue;
    found.add(name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
      readFileSync(manifest, 'utf8'),
    );
    closure(Object.keys({ ...dependencies, ...optionalDependencies }), found);
  }
  return found;
}

rmSync(bundle, { recursive: true, force: true });
mkdirSync(join(bundle, 'bin'), { recursive: true });
for (const path of ['package.json', 'tsconfig.json', 'LICENSE', 'THIRD_PARTY_NOTICES.md']) {
  copyFileSync(path, join(bundle, path));
}
for (const path of ['ts', 'dist', 'bench', 'demo', 'scripts', 'test']) {
  cpSync(path, join(bundle, path), { recursive: true });
}
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const name of closure([...Object.keys(dependencies), 'tsx', 'uvu'])) {
  cpSync(join('node_modules', name), join(bundle, 'node_modules', name), { recursive: true });
}

const native = join(bundle, 'prebuilds', platform);
cpSync(join('prebuilds', platform), native, { recursive: true });
copyFileSync(library, join(native, 'libespalier_cuda.so'));
copyFileSync(tests, join(native, 'espalier_tests'));
for (const name of readdirSync(dirname(tests))) {
  if (/^libespalier_.*\.so$/.test(name))
    copyFileSync(join(dirname(tests), name), join(native, name));
}
copyFileSync(process.execPath, join(bundle, 'bin', 'node'));
for (const path of [join(bundle, 'bin', 'node'), join(native, 'espalier_tests')]) {
  chmodSync(path, 0o755);
  run('GPU bundle', 'strip', [path], { remedy: 'install binutils' });
}

writeFileSync(
  join(bundle, 'run.sh'),
  `#!/bin/sh
# Without arguments: the op tests on this machine's GPU, under compute-sanitizer too where that is.
#   ./run.sh emulated            the op tests on a GPU that the host emulates
#   ./run.sh test ARGUMENTS      see scripts/test-gpu.mjs
#   ./run.sh bench SUITE ...     see bench/README.md; without a suite it lists them
#   ./run.sh doctor              what is found on this machine
set -e
cd "$(dirname "$0")"
export PATH="$PWD/bin:$PATH"
command=\${1:-test}
[ $# -gt 0 ] && shift
case $command in
  emulated) exec node scripts/test-gpu.mjs --emulated "$@" ;;
  test) exec node scripts/test-gpu.mjs "$@" ;;
  bench) exec node --import tsx bench/run.ts "$@" ;;
  doctor) exec node dist/cli/espalier.js doctor "$@" ;;
  *) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
`,
);
chmodSync(join(bundle, 'run.sh'), 0o755);

rmSync(archive, { force: true });
run('GPU bundle', 'tar', ['-C', 'build', '-cJf', archive, 'espalier-gpu'], {
  remedy: 'install xz (apt-get install xz-utils)',
  environment: { XZ_OPT: '-9' },
});
const { size } = statSync(archive);
say(`pack: ${archive}: ${(size / 1e6).toFixed(1)} MB`);
if (size > sizeLimit) {
  fail('GPU bundle', `it has more than ${sizeLimit / 1e6} MB`, 'find out what grew');
}
