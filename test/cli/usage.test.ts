import { assert, test } from '../harness.js';
import { cli } from './spawn-cli.js';

test('help and version go to stdout and are no failure', async () => {
  const help = await cli(['--help']);
  assert.is(help.code, 0);
  assert.match(help.stdout, /Usage: espalier <verb>/);
  assert.match(help.stdout, /Examples:/);
  assert.is(help.stderr, '');
  const version = await cli(['--version']);
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

test('every verb prints its options and examples', async () => {
  for (const verb of ['prune', 'eval', 'inspect', 'doctor']) {
    const { code, stdout } = await cli([verb, '--help']);
    assert.is(code, 0);
    assert.match(stdout, `Usage: espalier ${verb}`);
    assert.match(stdout, '--json-stream');
    assert.match(stdout, `\nExamples:\n  espalier ${verb}`);
  }
});

test('wrong usage exits with 2, one line of cause and one of remedy, and nothing on stdout', async () => {
  const cases: [string[], RegExp, RegExp][] = [
    [['prun'], /unknown command 'prun'/, /did you mean prune\?/],
    [['doctor', '--jsn'], /unknown option '--jsn'/, /did you mean --json\?/],
    [['doctor', '--threads', '0'], /whole number from 1 to 1024/, /espalier doctor --help/],
    [['doctor', '--json', '--json-stream'], /cannot be used with/, /espalier doctor --help/],
    [['doctor', 'extra'], /too many arguments/, /espalier doctor --help/],
    [['inspect'], /missing required argument 'model'/, /espalier inspect --help/],
    [
      ['prune', 'model', '--calibration', 'text', '--otput', 'directory'],
      /required option '--output <dir>' not specified, and there is no option '--otput'/,
      /espalier prune --help/,
    ],
    [['prune', 'model', '--calibration', 'text'], /--output <dir>' not specified$/, /prune --help/],
    [['doctor', '--device', 'tpu'], /Allowed choices are auto, cpu, cuda/, /--help/],
  ];
  for (const [args, cause, remedy] of cases) {
    const { code, stdout, stderr } = await cli(args);
    assert.is(code, 2, args.join(' '));
    assert.is(stdout, '');
    const lines = stderr.trimEnd().split('\n');
    assert.is(lines.length, 2, stderr);
    assert.match(lines[0] as string, /^error: /);
    assert.match(lines[0] as string, cause);
    assert.match(lines[1] as string, /^ {2}try: /);
    assert.match(lines[1] as string, remedy);
  }
});

test('without a verb it shows its help on stderr and exits with 2', async () => {
  const { code, stdout, stderr } = await cli([]);
  assert.is(code, 2);
  assert.is(stdout, '');
  assert.match(stderr, /Usage: espalier/);
});
