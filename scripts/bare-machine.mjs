// Running a command as on a machine that lacks what this one has: in a mount namespace in which
// libraries, programs and folders are covered.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds } from './process.mjs';

const isRoot = process.getuid?.() === 0;
const unshare = ['--mount', ...(isRoot ? [] : ['--map-root-user'])];

/** Files and folders of the native libraries that a bare machine does not have. */
function librariesToHide() {
  const pattern = /^(libdnnl|libopenblas|libhwy|libgomp|libgfortran|libquadmath|libOpenCL)/;
  const hidden = new Set();
  const folders = [
    '/usr/lib',
    '/usr/local/lib',
    ...['x86_64', 'aarch64'].map((name) => `/usr/lib/${name}-linux-gnu`),
  ];
  for (const folder of folders.filter((path) => existsSync(path))) {
    for (const name of readdirSync(folder)) {
      if (pattern.test(name)) hidden.add(realpathSync(join(folder, name)));
      if (/^openblas/.test(name)) hidden.add(join(folder, name));
    }
  }
  return [...hidden];
}

/** Whether namespaces are permitted here. */
export function canHide() {
  return succeeds('unshare', [...unshare, 'true']);
}

/**
 * Runs a shell command without this machine's native libraries.
 *
 * @param options `cwd`; `environment`, whole; `alsoHide`: further files and folders
 */
export function onBareMachine(command, { cwd, environment, alsoHide = [] }) {
  // Every file is covered with an empty one, and every folder with an empty folder.
  const hide = [...librariesToHide(), ...alsoHide].map((path) =>
    statSync(path).isDirectory()
      ? `mount -t tmpfs none '${path}'`
      : `mount --bind /dev/null '${path}'`,
  );
  const script = `set -e\n${hide.join('\n')}\ncd '${cwd}'\nexec sh -c "$0"`;
  return spawnSync('unshare', [...unshare, 'sh', '-c', script, command], {
    encoding: 'utf8',
    env: environment,
    maxBuffer: 1 << 28,
  });
}
