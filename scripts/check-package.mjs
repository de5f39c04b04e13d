// Packs the package, installs it into an empty project with install scripts off, and uses it there
// as a stranger would, with the native libraries of this machine hidden. Run `npm run prebuild` first.
//
// Arguments: the model and the text to prune and evaluate (default: the demo's).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { canHide, onBareMachine } from './bare-machine.mjs';
import { run } from './process.mjs';

const sizeLimit = 30e6;
const demoText = join('demo', 'text');
const [model = join('demo', 'model'), text = join(demoText, readdirSync(demoText).sort()[0])] =
  process.argv.slice(2);

let passed = 0;
let failed = 0;

/** Runs one check; `check` returns what is wrong, or nothing. */
function expect(name, check) {
  const wrong = check();
  if (wrong) failed++;
  else passed++;
  console.log(`${wrong ? '✗' : '✓'} package: ${name}${wrong ? `\n${wrong}` : ''}`);
}

const work = mkdtempSync(join(tmpdir(), 'espalier-package-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));

const packed = JSON.parse(
  run('package', 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], {
    remedy: 'read the output above',
  }),
);
const { filename, size, files } = Array.isArray(packed) ? packed[0] : Object.values(packed)[0];
const contents = files.map(({ path }) => path);

expect(`the tarball has at most ${sizeLimit / 1e6} MB (${(size / 1e6).toFixed(1)} MB)`, () =>
  size <= sizeLimit ? '' : `${size} bytes`,
);

const needed = [
  'dist/index.js',
  'dist/index.d.ts',
  'dist/cli/espalier.js',
  `prebuilds/${process.platform}-${process.arch}/espalier.node`,
  'README.md',
  'LICENSE',
  'THIRD_PARTY_NOTICES.md',
];
expect('it has what a user needs and nothing else of ours', () => {
  const missing = needed.filter((name) => !contents.includes(name));
  const foreign = contents.filter((name) => /^(ts|test|binding|node_modules|build)\//.test(name));
  return [...missing.map((name) => `missing: ${name}`), ...foreign].join('\n');
});

const project = join(work, 'project');
mkdirSync(project);
writeFileSync(join(project, 'package.json'), '{ "name": "stranger", "private": true }\n');
expect('it installs into an empty project with install scripts off', () => {
  const install = ['install', '--ignore-scripts', '--no-audit', '--no-fund', join(work, filename)];
  const result = spawnSync('npm', install, { cwd: project, encoding: 'utf8' });
  return result.status === 0 ? '' : result.stderr;
});

/** Runs a shell command in the project as a stranger would. */
function asStranger(command) {
  const environment = { ...process.env, NO_COLOR: '1' };
  for (const name of ['LD_LIBRARY_PATH', 'LD_PRELOAD', 'NODE_PATH']) delete environment[name];
  return onBareMachine(command, { cwd: project, environment });
}

/** What is wrong with a command that should succeed and print `wanted`. */
function wrongWith(command, wanted) {
  const { status, signal, stdout, stderr } = asStranger(command);
  const output = `${stdout}${stderr}`.trim();
  if (status !== 0) return `${command} ended with ${status ?? signal}\n${output}`;
  return wanted.test(stdout) ? '' : `${command} printed no ${wanted}:\n${output}`;
}

expect('this machine can hide its libraries', () => {
  if (!canHide()) return 'unshare --mount is not permitted here';
  const visible = asStranger("find -L /usr/lib -name 'libdnnl.so*' -size +0 | grep . || echo none");
  return visible.stdout === 'none\n' ? '' : `${visible.stdout}${visible.stderr}`;
});

expect('espalier doctor finds nothing wrong', () =>
  wrongWith('npx --no-install espalier doctor --json', /"kind": ?"prebuild"/),
);

expect('espalier prune prunes a model', () => {
  const command = `npx --no-install espalier prune '${resolve(model)}' --output pruned --ratio 0.2 --calibration '${resolve(text)}' --samples 16 --json`;
  const wrong = wrongWith(command, /\S/);
  if (wrong) return wrong;
  const result = join(project, 'pruned');
  const made = existsSync(result) ? readdirSync(result) : [];
  const absent = ['config.json', 'run.json', 'tokenizer.json'].filter(
    (name) => !made.includes(name),
  );
  return absent.map((name) => `${result} has no ${name}`).join('\n');
});

expect('espalier eval evaluates the pruned model', () =>
  wrongWith(
    `npx --no-install espalier eval pruned --text '${resolve(text)}' --max-windows 8 --json`,
    /"perplexity"/,
  ),
);

writeFileSync(
  join(project, 'use.mjs'),
  `import { loadModel } from 'espalier';
const model = await loadModel(process.argv[2]);
const logits = model.forward([[1, 2, 3]]);
console.log('shape', logits.shape.join(), 'finite', (await logits.read()).every(Number.isFinite));
`,
);
expect('a program imports it and runs a forward pass', () =>
  wrongWith(`node use.mjs '${resolve(model)}'`, /^shape 1,3,\d+ finite true$/m),
);

console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
