// npm run bench -- <suite>… [--device cuda] [--quick] [--threads N] [options of the suite]
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { resolveDevice } from '../ts/native/resolve-device.js';
import { setThreads } from '../ts/native/threads.js';
import type { Suite } from './harness.js';
import { describeMachine } from './machine.js';
import { Peer } from './peers/peer.js';
import { Report } from './report.js';
import { suites } from './suites.js';

const here = dirname(fileURLToPath(import.meta.url));
const say = (line: string) => process.stderr.write(`${line}\n`);

/** Options of every suite. */
const common = {
  device: { type: 'string' },
  'peer-device': { type: 'string' },
  quick: { type: 'boolean' },
  threads: { type: 'string' },
  output: { type: 'string' },
  'no-peer': { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const names = process.argv.slice(2).filter((word) => word in suites);
const loaded = new Map<string, Suite>();
for (const name of names) loaded.set(name, (await suites[name]!()).suite);

const specific = Object.assign({}, ...[...loaded.values()].map(({ options }) => options ?? {}));
let values: Readonly<Record<string, string | boolean | undefined>> = {};
let mistake = '';
try {
  const parsed = parseArgs({ options: { ...specific, ...common }, allowPositionals: true });
  values = parsed.values as typeof values;
  const unknown = parsed.positionals.filter((word) => !(word in suites));
  if (unknown.length > 0) mistake = `there is no suite ${unknown.join(', ')}`;
} catch (error) {
  mistake = (error as Error).message.split('. ')[0] as string;
}
if (names.length === 0 || mistake !== '' || values.help) {
  if (mistake !== '') say(`error: ${mistake}`);
  say(
    'usage: npm run bench -- SUITE… [--device cpu|cuda] [--quick] [--threads N] [--output DIR] [--no-peer]',
  );
  say(`suites: ${Object.keys(suites).join(' ')}`);
  for (const [name, { options }] of loaded) {
    if (options)
      say(
        `  ${name}: ${Object.keys(options)
          .map((key) => `--${key}`)
          .join(' ')}`,
      );
  }
  process.exit(values.help ? 0 : 2);
}

const threads = setThreads(values.threads === undefined ? undefined : Number(values.threads));
// What leaves the device open (`auto`) then computes on the CPU as well.
if ((values.device ?? 'cpu') === 'cpu') process.env.CUDA_VISIBLE_DEVICES = '';
const { device } = resolveDevice((values.device as string | undefined) ?? 'cpu');
const peerDevice =
  (values['peer-device'] as string | undefined) ?? (device === 'cpu' ? 'cpu' : 'cuda');
const results =
  (values.output as string | undefined) ?? join(here, 'results', device === 'cpu' ? '' : 'gpu');
let peer: Peer | undefined;
let failures = 0;

/** Starts the peer once; a suite does without its columns where there is none. */
async function startPeer(): Promise<Peer | undefined> {
  if (values['no-peer']) return undefined;
  peer ??= await Peer.start(threads, peerDevice);
  if (peer === undefined) say('no Python peer: npm run bench:peers sets it up');
  return peer;
}

for (const [name, suite] of loaded) {
  const report = new Report(name, suite.claim, describeMachine(threads, device));
  const stop = () => {
    report.note('Stopped for lack of time before its end.');
    process.stdout.write(report.markdown());
    report.write(results);
    process.exit(143);
  };
  process.once('SIGTERM', stop);
  say(`${name}: ${suite.claim}`);
  try {
    const quick = values.quick === true;
    const common = { options: values, quick, threads, device, peerDevice };
    await suite.run({ ...common, report, peer: startPeer, say });
    if (quick) report.note('A quick run: fewer shapes, rounds, windows and cells.');
    if (peer !== undefined) report.note(`Peer: ${peer.versions}.`);
    process.stdout.write(report.markdown());
    // A quick run proves that the suite works; its figures replace nothing.
    if (!quick || values.output !== undefined) report.write(results);
  } catch (error) {
    failures++;
    say(`${name}: failed: ${(error as Error).stack ?? error}`);
    // What was measured until then is worth keeping where measuring is dear.
    if (device !== 'cpu') {
      report.note(`The suite failed before its end: ${(error as Error).message}`);
      process.stdout.write(report.markdown());
      report.write(results);
    }
  }
  process.off('SIGTERM', stop);
}
peer?.close();
process.exitCode = failures > 0 ? 1 : 0;
