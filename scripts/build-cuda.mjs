// Compiles cuda/ into build/cuda/libespalier_cuda.so, which the addon opens at run time. It needs
// nvcc (npm run setup:cuda) and no GPU.
//
// --all-targets: every card from Turing on, for a release, instead of the two for development.
// --targets=90: these alone (between commas), for the card at hand.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { backendAbi } from './backend-abi.mjs';
import { findToolkit } from './cuda-toolkit.mjs';
import { fail, run, say, succeeds } from './process.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));

const sizeLimit = 40e6;
const allTargets = process.argv.includes('--all-targets');
// 87 is Jetson Orin. Cards after the last one compile its PTX when they first load the library.
const named = process.argv.find((argument) => argument.startsWith('--targets='))?.slice(10);
const targets =
  named?.split(',').map(Number) ?? (allTargets ? [75, 80, 86, 87, 89, 90, 100, 120] : [80, 90]);
const output = join('build', 'cuda');
const objects = join(output, named ?? (allTargets ? 'all-targets' : 'development'));
const library = join(output, 'libespalier_cuda.so');

const toolkit = findToolkit();
if (toolkit === undefined) fail('CUDA library', 'there is no nvcc', 'npm run setup:cuda');

const code = targets.map((target) => `-gencode=arch=compute_${target},code=sm_${target}`);
if (allTargets) code.push(`-gencode=arch=compute_${targets.at(-1)},code=compute_${targets.at(-1)}`);
const flags = [
  ...['-std=c++20', '-O3', '-DNDEBUG', '--expt-relaxed-constexpr', '-I.'],
  ...['-Xcompiler=-fPIC,-fvisibility=hidden,-fvisibility-inlines-hidden,-Wall,-Wextra'],
  // An eighth of the default's size; the driver unpacks a kernel when it is first launched.
  '--compress-mode=size',
  ...code,
];
const extraFlags = { 'library.cu': [`-DESPALIER_BACKEND_ABI=0x${backendAbi('.')}U`] };

/** `file` and every file of ours that it includes, directly or not. */
function withIncludes(file, found = new Set()) {
  if (found.has(file) || !existsSync(file)) return found;
  found.add(file);
  for (const [, name] of readFileSync(file, 'utf8').matchAll(/^#include "(.*)"/gm)) {
    withIncludes(name, found);
  }
  return found;
}

/** A hash of all that an object is made from. */
function fingerprint(source, parameters) {
  const hash = createHash('sha256').update(JSON.stringify([toolkit.version, parameters]));
  for (const file of withIncludes(source)) hash.update(`${file}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

/** Runs nvcc; resolves to its exit code and what it said. */
function compile(parameters) {
  const launcher = succeeds('ccache', ['--version']) ? ['ccache'] : [];
  const [program, ...rest] = [...launcher, toolkit.nvcc, ...parameters];
  return new Promise((resolve) => {
    // Every clone has an nvcc of its own, so ccache must not go by the time it was written.
    const env = { ...process.env, CCACHE_COMPILERCHECK: 'content' };
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        said += text;
      });
    }
    child.on('error', (error) => resolve({ status: -1, said: error.message }));
    child.on('close', (status) => resolve({ status, said }));
  });
}

const started = performance.now();
mkdirSync(objects, { recursive: true });
const sources = [
  ...readdirSync('cuda').filter((name) => name.endsWith('.cu')),
  ...['status.cc', 'dtype.cc', 'shape.cc'],
].map((name) => (name.endsWith('.cu') ? join('cuda', name) : join('binding', 'core', name)));

const waiting = [];
for (const source of sources) {
  const object = join(objects, `${basename(source)}.o`);
  const parameters = [
    ...flags,
    ...(extraFlags[basename(source)] ?? []),
    '-c',
    source,
    '-o',
    object,
  ];
  const stamp = fingerprint(source, parameters);
  const done = existsSync(object) && existsSync(`${object}.stamp`);
  if (done && readFileSync(`${object}.stamp`, 'utf8') === stamp) continue;
  waiting.push({ source, object, parameters, stamp });
}
const compiled = waiting.length;
// The longest files first, so that no core waits for one of them in the end.
waiting.sort((a, b) => statSync(a.source).size - statSync(b.source).size);

/** Compiles files until none is left. */
async function worker() {
  for (let job = waiting.pop(); job !== undefined; job = waiting.pop()) {
    const { status, said } = await compile(job.parameters);
    if (said.trim() !== '') say(said.trimEnd());
    if (status !== 0) {
      fail('CUDA library', `${job.source} does not compile`, 'read the output above');
    }
    writeFileSync(`${job.object}.stamp`, job.stamp);
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker));

// Nothing but the three functions is seen from outside, so no symbol of ours meets one of the addon's.
const exported = join(output, 'exported.map');
writeFileSync(
  exported,
  '{ global: espalier_backend_probe; espalier_backend_create; espalier_backend_describe; local: *; };\n',
);
const linked = `${toolkit.version} ${sources.map((source) => readFileSync(join(objects, `${basename(source)}.o.stamp`), 'utf8')).join(' ')}`;
const current = join(output, 'current');
const isCurrent = existsSync(library) && existsSync(current);
if (!isCurrent || readFileSync(current, 'utf8') !== linked) {
  run(
    'CUDA library',
    toolkit.nvcc,
    [
      ...['-shared', '-cudart=static', '-o', library, `-L${toolkit.libraries}`],
      ...sources.map((source) => join(objects, `${basename(source)}.o`)),
      // The driver's threads may stand in it until the process ends.
      ...[
        '-Xlinker=-z,nodelete,--strip-all,--gc-sections',
        `-Xlinker=--version-script=${exported}`,
      ],
    ],
    { remedy: 'read the output above' },
  );
  writeFileSync(current, linked);
}

const bytes = statSync(library).size;
const seconds = ((performance.now() - started) / 1000).toFixed(1);
say(
  `build: ${library}: ${(bytes / 1e6).toFixed(1)} MB for ${targets.map((t) => `sm_${t}`).join(' ')}; ` +
    `${compiled} of ${sources.length} files compiled in ${seconds} s by nvcc ${toolkit.version} (${toolkit.source})`,
);
if (bytes > sizeLimit) {
  fail(
    'CUDA library',
    `it has more than ${sizeLimit / 1e6} MB`,
    'look for templates with many cases',
  );
}
