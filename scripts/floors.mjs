// The floors of the house, and what climbs: each imports only from those below it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';

/** TypeScript folders from the top; folders on one floor do not import each other. */
const floors = [
  ['cli'],
  ['index.ts'],
  ['systems'],
  ['federation', 'transport'],
  ['pruning', 'training'],
  ['models', 'data'],
  ['nn', 'formats'],
  ['ops'],
  ['tensor'],
  ['native'],
  ['common'],
];

/** Native folders and the native folders that each may include. */
const includes = {
  core: ['core'],
  ops: ['core', 'ops'],
  cpu: ['core', 'cpu'],
  node: ['core', 'ops', 'cpu', 'node'],
};

/** Headers of libraries and the only folder that may include them. */
const libraryHeaders = [
  [/^(oneapi\/)?dnnl/, 'cpu'],
  [/^(cblas|lapack|lapacke|openblas)/, 'cpu'],
  [/^hwy\//, 'cpu'],
  [/^(napi|node_api|js_native_api)/, 'node'],
];

function filesBelow(directory, endings) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => endings.some((ending) => name.endsWith(ending)))
    .map((name) => join(directory, name))
    .sort();
}

/** The floor's folder of a path below ts/; systems are a house each. */
function folderOf(path) {
  const [first, second] = path.split(sep);
  return first === 'systems' && second ? join(first, second) : first;
}

function rank(folder) {
  const name = folder.split(sep)[0];
  return floors.findIndex((floor) => floor.includes(name));
}

/** The relative modules that a TypeScript source names: imports, re-exports, workers. */
function relativeModules(source) {
  const pattern = /(?:\bfrom|\bimport|\bimport\(|\bnew URL\()\s*'(\.[^']*\.js)'/g;
  return [...source.matchAll(pattern)].map((match) => match[1]);
}

/** Imports below `root`/ts that climb or cross, one line each. */
export function climbingImports(root) {
  const base = join(root, 'ts');
  const found = [];
  for (const file of filesBelow(base, ['.ts'])) {
    const from = file.slice(base.length + 1);
    for (const module of relativeModules(readFileSync(file, 'utf8'))) {
      const to = normalize(join(dirname(from), module)).replace(/\.js$/, '.ts');
      const [source, target] = [folderOf(from), folderOf(to)];
      if (source === target) continue;
      const unknown = [source, target].find((folder) => rank(folder) < 0);
      if (unknown) found.push(`ts/${from}: ${unknown} is on no floor`);
      else if (rank(target) <= rank(source)) {
        found.push(`ts/${from}: ${source} must not import ${target} (${module})`);
      }
    }
  }
  return found;
}

/** Includes below `root`/binding that a folder must not have, one line each. */
export function climbingIncludes(root) {
  const base = join(root, 'binding');
  const found = [];
  for (const file of filesBelow(base, ['.h', '.cc'])) {
    const from = file.slice(base.length + 1);
    const folder = from.split(sep)[0];
    const source = readFileSync(file, 'utf8');
    for (const [, header] of source.matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
      const target = /^binding\/([^/]+)\//.exec(header)?.[1];
      const home = libraryHeaders.find(([pattern]) => pattern.test(header))?.[1];
      const allowed = target ? includes[folder]?.includes(target) : !home || home === folder;
      if (!allowed) found.push(`binding/${from}: ${folder} must not include ${header}`);
    }
  }
  return found;
}
