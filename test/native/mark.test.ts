import { linear } from '../../ts/ops/linear.js';
import { Mark } from '../../ts/tensor/mark.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';

test('marks time what is queued between them', async () => {
  const x = Tensor.zeros([256, 256]);
  const marks = [new Mark()];
  for (let i = 0; i < 3; i++) {
    linear(x, x).dispose();
    marks.push(new Mark());
  }
  const [first, ...rest] = marks as [Mark, ...Mark[]];
  const seconds = await Promise.all(rest.map((mark) => mark.secondsSince(first)));
  for (const [i, value] of seconds.entries()) assert.ok(value > (seconds[i - 1] ?? 0));
  assert.is(await first.secondsSince(rest.at(-1)!), -seconds.at(-1)!);
  x.dispose();
});

test('what is no mark is refused, and so is a device that nobody opened', async () => {
  for (const handle of [{}, undefined, Tensor.zeros([1]).handle]) {
    await fails(() => new Mark().secondsSince({ handle } as unknown as Mark), 'CONFIG');
  }
  await fails(() => new Mark('cuda:99'), 'DEVICE_UNAVAILABLE');
});
