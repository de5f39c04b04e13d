#!/usr/bin/env node
// What prebuildify runs in place of node-gyp (with the working directory where it expects
// build/Release): lets cmake-js link the addon so that it looks for its libraries beside itself, and
// puts them there.
import { copyFileSync, realpathSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCache } from './cmake-cache.mjs';
import { fail, run } from './process.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const remedy = 'read the output above';
const cmakeJs = join(root, 'node_modules', '.bin', 'cmake-js');
// CMakeLists.txt sends the target's output here: it shares the local build's objects.
const release = join(process.cwd(), 'build', 'Release');

const target = ['--target', 'espalier_bundle', '--parallel', String(cpus().length)];
run('prebuild', cmakeJs, ['build', '-d', root, ...target, '--silent'], { remedy });

/** Libraries that every Linux with Node has; a second copy of them in one process would do harm. */
const ofTheSystem =
  /^(linux-vdso|ld-linux.*|libc|libm|libpthread|libdl|librt|libstdc\+\+|libgcc_s)\.so/;

const cache = readCache(join(root, 'build'));
const folders = [cache.DNNL_LIBRARY, cache.OPENBLAS_LIBRARY, cache.HIGHWAY_LIBRARY].map(dirname);
const listing = run('prebuild', 'ldd', [join(release, 'espalier.node')], {
  remedy,
  environment: { LD_LIBRARY_PATH: folders.join(':') },
});
const libraries = {};
for (const [, name, path] of listing.matchAll(/^\s*(\S+) => (\S+)/gm)) {
  if (ofTheSystem.test(name)) continue;
  if (path === 'not') fail('prebuild', `${name} is not on this machine`, remedy);
  libraries[basename(name)] = realpathSync(path);
  copyFileSync(path, join(release, name));
}
writeFileSync('libraries.json', `${JSON.stringify(libraries, undefined, 2)}\n`);
