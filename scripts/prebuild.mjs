// Makes prebuilds/<platform>-<arch>/: the addon, every shared library that a bare machine may lack,
// and those libraries' licences. prebuildify does the naming and stripping, cmake-js the build.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fail, run, say, succeeds } from './process.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const platform = `${process.platform}-${process.arch}`;
const target = join('prebuilds', platform);
// prebuildify moves the addon out of <cwd>/build/Release: a folder of its own spares the local build.
const stage = join('build', 'prebuild');

if (process.platform !== 'linux') fail('prebuild', `${platform} is not supported yet`, 'use Linux');
if (!succeeds('strip', ['--version'])) {
  fail('prebuild', 'strip is missing', 'install binutils (apt-get install binutils)');
}

rmSync(target, { recursive: true, force: true });
rmSync(join(stage, 'build', 'Release'), { recursive: true, force: true });
mkdirSync(stage, { recursive: true });
run(
  'prebuild',
  'npx',
  [
    'prebuildify',
    '--napi',
    '--strip',
    `--target=${process.versions.node}`,
    '--name=espalier',
    `--cwd=${stage}`,
    `--out=${root}`,
    `--node-gyp=${resolve('scripts', 'node-gyp-by-cmake-js.mjs')}`,
  ],
  { remedy: 'read the output above' },
);

/** The copyright file of the Debian package that owns `library`. */
function copyrightOf(library) {
  for (const path of [library, library.replace(/^\/usr/, '')]) {
    if (!succeeds('dpkg', ['-S', path])) continue;
    const owner = run('prebuild', 'dpkg', ['-S', path], { remedy: 'use Debian' }).split(':')[0];
    const file = `/usr/share/doc/${owner}/copyright`;
    if (existsSync(file)) return file;
  }
  return undefined;
}

// Where each library came from: written beside the build by node-gyp-by-cmake-js.mjs.
const { default: sources } = await import(resolve(stage, 'libraries.json'), {
  with: { type: 'json' },
});
mkdirSync(join(target, 'licenses'));
for (const [name, path] of Object.entries(sources)) {
  const copyright = copyrightOf(path);
  if (!copyright) {
    fail(
      'prebuild',
      `no licence found for ${path}`,
      'install its package from Debian, with its docs',
    );
  }
  copyFileSync(copyright, join(target, 'licenses', `${name}.txt`));
}
say(`prebuild: ${target}: ${readdirSync(target).join(' ')}`);
