// Makes build/espalier-gpu.tar.xz: all that a bare Linux machine with an NVIDIA driver needs to run
// the tests and the benchmarks on its GPU, wherever it is unpacked. Node, the addon with its
// libraries, the CUDA library and the emulated one, the native test program, sources, benchmarks and
// small models. PyTorch, the peer of the benchmarks, is the machine's own.
//
// It packs what is built: npm run pack:gpu-bundle builds first. With --for-checkout it leaves out what
// a checkout of the same commit has, and is unpacked into that: build/espalier-gpu-checkout.tar.xz.
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
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildEmulatedGpu, buildNativeTests } from './native-tests.mjs';
import { fail, run, say } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

const sizeLimit = 55e6;
const platform = `${process.platform}-${process.arch}`;
const forCheckout = process.argv.includes('--for-checkout');
const bundle = join('build', forCheckout ? 'espalier-gpu-checkout' : 'espalier-gpu');
const archive = `${bundle}.tar.xz`;

const library = join('build', 'cuda', 'libespalier_cuda.so');
if (!existsSync(library)) fail('GPU bundle', `there is no ${library}`, 'npm run build:cuda');
if (!existsSync(join('prebuilds', platform))) {
  fail('GPU bundle', `there is no prebuilds/${platform}`, 'npm run prebuild');
}
const tests = buildNativeTests();
const emulated = buildEmulatedGpu();

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

/** Copies what the tests and benchmarks need of the repository. */
function copyCheckout() {
  for (const path of ['package.json', 'tsconfig.json', 'LICENSE', 'THIRD_PARTY_NOTICES.md']) {
    copyFileSync(path, join(bundle, path));
  }
  const left = /(^|\/)(\.cache|__pycache__|results|.*\.test\.cc)$/;
  for (const path of ['ts', 'bench', 'demo', 'scripts', 'test']) {
    cpSync(path, join(bundle, path), { recursive: true, filter: (from) => !left.test(from) });
  }
  // The native tests are run file by file: their names are all that is needed of them.
  for (const folder of ['ops', 'core'].map((name) => join('test', 'binding', name))) {
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.test.cc'))) {
      writeFileSync(join(bundle, folder, name), '');
    }
  }
}

rmSync(bundle, { recursive: true, force: true });
mkdirSync(join(bundle, 'bin'), { recursive: true });
cpSync('dist', join(bundle, 'dist'), { recursive: true });
if (!forCheckout) copyCheckout();
const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const name of closure([...Object.keys(dependencies), 'tsx', 'uvu'])) {
  cpSync(join('node_modules', name), join(bundle, 'node_modules', name), {
    recursive: true,
    filter: (path) => !/\.(md|map|d\.[mc]?ts)$|\/zod\/src$/.test(path),
  });
}

const native = join(bundle, 'prebuilds', platform);
cpSync(join('prebuilds', platform), native, { recursive: true });
copyFileSync(library, join(native, 'libespalier_cuda.so'));
copyFileSync(tests, join(native, 'espalier_tests'));
copyFileSync(emulated, join(native, basename(emulated)));
copyFileSync(process.execPath, join(bundle, 'bin', 'node'));
const programs = [join(bundle, 'bin', 'node'), join(native, 'espalier_tests')];
for (const path of [...programs, join(native, basename(emulated))]) {
  chmodSync(path, 0o755);
  run('GPU bundle', 'strip', [path], { remedy: 'install binutils' });
}

writeFileSync(
  join(bundle, 'run.sh'),
  `#!/bin/sh
# What this machine's GPU can do. Without arguments: doctor.
#   ./run.sh doctor              what is found on this machine, and why a GPU is or is not used
#   ./run.sh test ARGUMENTS      tests on the GPU: see scripts/test-gpu.mjs (--only, --minutes, --output)
#   ./run.sh emulated ARGUMENTS  the same on a GPU that the host emulates: proves the bundle
#   ./run.sh bench ARGUMENTS     benchmarks: see bench/run-gpu.ts (--only, --minutes, --output)
#   ./run.sh suite SUITE ...     one suite with its own options: see bench/README.md
# Paths in arguments are those of this folder unless absolute.
set -e
cd "$(dirname "$0")"
export PATH="$PWD/bin:$PATH"
command=\${1:-doctor}
[ $# -gt 0 ] && shift
# NVIDIA's libraries of a Python environment, such as PyTorch's.
nvidia() {
  node --input-type=module -e "import { findNvidiaLibraries } from './scripts/nvidia-libraries.mjs';
    const { folder = '', line } = findNvidiaLibraries(); console.error(line); console.log(folder);"
}
case $command in
  doctor)
    ESPALIER_CUDA_LIBRARY_PATH=$(nvidia)
    export ESPALIER_CUDA_LIBRARY_PATH
    if command -v nvidia-smi >/dev/null; then nvidia-smi; else echo "no nvidia-smi" >&2; fi
    exec node dist/cli/espalier.js doctor "$@" ;;
  emulated) exec node scripts/test-gpu.mjs --emulated "$@" ;;
  test) exec node scripts/test-gpu.mjs "$@" ;;
  bench) exec node --import tsx bench/run-gpu.ts "$@" ;;
  suite)
    ESPALIER_CUDA_LIBRARY_PATH=$(nvidia)
    export ESPALIER_CUDA_LIBRARY_PATH
    exec node --import tsx bench/run.ts "$@" ;;
  *) sed -n 's/^#   //p' "$0" >&2; exit 2 ;;
esac
`,
);
chmodSync(join(bundle, 'run.sh'), 0o755);

rmSync(archive, { force: true });
const [from, what] = forCheckout ? [bundle, '.'] : ['build', basename(bundle)];
// xz packs x86 code a twentieth smaller when it is told what it is.
const code = process.arch === 'x64' ? ['--x86'] : [];
run('GPU bundle', 'tar', ['-C', from, '-cJf', archive, what], {
  remedy: 'install xz (apt-get install xz-utils)',
  environment: { XZ_OPT: [...code, '--lzma2=preset=9'].join(' ') },
});
const { size } = statSync(archive);
say(`pack: ${archive}: ${(size / 1e6).toFixed(1)} MB`);
if (size > sizeLimit) {
  fail('GPU bundle', `it has more than ${sizeLimit / 1e6} MB`, 'find out what grew');
}
