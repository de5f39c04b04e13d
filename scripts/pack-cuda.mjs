// Makes build/espalier-cuda-<version>.tgz: the companion package of npm that carries the CUDA library
// that was built last. The main package finds it by its name.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findToolkit } from './cuda-toolkit.mjs';
import { fail, run, say } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

const library = 'libespalier_cuda.so';
const built = join('build', 'cuda', library);
if (!existsSync(built)) fail('CUDA package', `there is no ${built}`, 'npm run build:cuda');

/** NVIDIA's licence of the runtime that is linked into the library. */
function runtimeLicence() {
  const { home } = findToolkit() ?? fail('CUDA package', 'there is no nvcc', 'npm run setup:cuda');
  const wheels = join(home, '..', '..');
  const wheel = readdirSync(wheels).find((name) =>
    /^nvidia_cuda_runtime-.*\.dist-info$/.test(name),
  );
  const places = [
    join(home, 'EULA.txt'),
    ...(wheel === undefined
      ? []
      : ['License.txt', join('licenses', 'License.txt')].map((name) => join(wheels, wheel, name))),
  ];
  const found = places.find((path) => existsSync(path));
  return found ?? fail('CUDA package', `NVIDIA's licence is not in ${places.join(', ')}`, 'add it');
}

const main = JSON.parse(readFileSync('package.json', 'utf8'));
const stage = join('build', 'pack-cuda');
rmSync(stage, { recursive: true, force: true });
mkdirSync(stage, { recursive: true });
copyFileSync(built, join(stage, library));
copyFileSync('LICENSE', join(stage, 'LICENSE'));
copyFileSync(runtimeLicence(), join(stage, 'LICENSE-cuda-runtime.txt'));
writeFileSync(
  join(stage, 'README.md'),
  `# espalier-cuda

The CUDA library of [espalier](https://www.npmjs.com/package/espalier) ${main.version}, for Linux on ${process.arch}.
Install it beside espalier of the same version; \`espalier doctor\` shows whether it is found and what the GPU is.
`,
);
const manifest = {
  name: 'espalier-cuda',
  version: main.version,
  description: `CUDA library of espalier ${main.version}`,
  license: 'Apache-2.0',
  os: [process.platform],
  cpu: [process.arch],
  files: [library, 'LICENSE-cuda-runtime.txt'],
};
writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
const [{ filename, size }] = Object.values(
  JSON.parse(
    run('CUDA package', 'npm', ['pack', `./${stage}`, '--json', '--pack-destination', 'build'], {
      remedy: 'read the output above',
    }),
  ),
);
say(`pack: build/${filename}: ${(size / 1e6).toFixed(1)} MB`);
