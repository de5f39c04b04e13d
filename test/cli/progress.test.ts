import { progressOn } from '../../ts/cli/progress.js';
import type { ProgressEvent } from '../../ts/common/events.js';
import { assert, test } from '../harness.js';
import { FakeScreen } from './fake-screen.js';

function layers(completed: number, extra: Partial<ProgressEvent> = {}): ProgressEvent {
  return { phase: 'prune', completed, total: 4, unit: 'layers', ...extra };
}

test('on a terminal a line is redrawn with rate and time to go', () => {
  const screen = new FakeScreen({ interactive: true });
  let now = 0;
  const progress = progressOn(screen, () => now);
  progress.report(layers(0));
  now = 2000;
  progress.report(layers(1, { values: { loss: 1.25 } }));
  assert.is(screen.text.split('\n').length, 1);
  assert.match(
    screen.shown(),
    /^prune ━━━━━━─+ 1\/4 layers, 2\.00 s each, 6\.0 s to go, loss 1\.250$/,
  );
});

test('on a terminal a finished phase leaves one line behind', () => {
  const screen = new FakeScreen({ interactive: true });
  let now = 0;
  const progress = progressOn(screen, () => now);
  for (let done = 0; done <= 4; done++, now += 500) progress.report(layers(done));
  progress.close();
  assert.is(screen.shown(), '✓ prune 4 layers in 2.0 s\n');
});

test('a line is never wider than the terminal', () => {
  const screen = new FakeScreen({ interactive: true });
  const progress = progressOn(screen, () => 0);
  progress.report(layers(1, { values: { name: 'x'.repeat(200) } }));
  assert.ok(screen.shown().length <= screen.columns);
});

test('redraws are few, however many events come', () => {
  const screen = new FakeScreen({ interactive: true });
  let now = 0;
  const progress = progressOn(screen, () => now);
  for (let i = 0; i < 10_000; i++, now += 0.1) {
    progress.report({ phase: 'evaluate', completed: i, total: 10_001, unit: 'windows' });
  }
  assert.ok(screen.text.split('\r').length < 20);
});

test('elsewhere plain lines come when a phase begins, every five seconds, and at its end', () => {
  const screen = new FakeScreen();
  let now = 0;
  const progress = progressOn(screen, () => now);
  for (let i = 0; i <= 120; i++, now += 100) {
    progress.report({ phase: 'evaluate', completed: i, total: 120, unit: 'windows' });
  }
  assert.equal(screen.text.trim().split('\n'), [
    'evaluate: 0/120 windows',
    'evaluate: 50/120 windows, 10.0 windows/s, 7.0 s to go',
    'evaluate: 100/120 windows, 10.0 windows/s, 2.0 s to go',
    'evaluate: 120/120 windows, in 12.0 s',
  ]);
});

test('work that a resumed run finds done does not count as speed', () => {
  const screen = new FakeScreen({ interactive: true });
  let now = 0;
  const progress = progressOn(screen, () => now);
  progress.report(layers(2));
  now = 10_000;
  progress.report(layers(3));
  assert.match(screen.shown(), '10.0 s each, 10.0 s to go');
});

test('a message stays on a line of its own', () => {
  const screen = new FakeScreen({ interactive: true });
  const progress = progressOn(screen, () => 0);
  progress.report(layers(1));
  progress.note('a warning');
  assert.is(screen.shown(), 'a warning\n');
});

test('bytes are written with their unit', () => {
  const screen = new FakeScreen();
  const progress = progressOn(screen, () => 0);
  progress.report({ phase: 'write', completed: 2e6, total: 13.5e9, unit: 'bytes' });
  assert.is(screen.text, 'write: 2.00 MB of 13.5 GB\n');
});
