// The child process of comp-7b: one prune, its peak memory, and the time of each of its phases.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { native } from '../../ts/native/addon.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { setThreads } from '../../ts/native/threads.js';
import { prune } from '../../ts/systems/comp/prune.js';
import type { PruneOptions } from '../../ts/systems/comp/prune-options.js';
import { answerParent } from '../child.js';

/** What the child is asked for. */
export interface PruneChildRequest {
  model: string;
  threads: number;
  options: PruneOptions;
}

/** What it measured. */
export interface PruneChildResult {
  seconds: number;
  /** True fraction of parameters removed. */
  ratio: number;
  /** Seconds by phase, from the progress events. */
  phases: Record<string, number>;
  /** Longest delay of the event loop in milliseconds. */
  longestDelay: number;
  /** The most memory that tensors took on the device. */
  tensorBytes: number;
  peakBytes: number;
}

await answerParent(async ({ model, threads, options }: PruneChildRequest) => {
  setThreads(threads);
  const { device } = resolveDevice(options.device);
  const phases: Record<string, number> = {};
  const start = performance.now();
  let last = start;
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const result = await prune(model, {
    ...options,
    // An event comes at the end of a step: the time since the one before belongs to it.
    onProgress: ({ phase }) => {
      const now = performance.now();
      phases[phase] = (phases[phase] ?? 0) + (now - last) / 1000;
      last = now;
    },
  });
  phases['after the last event'] = (performance.now() - last) / 1000;
  delay.disable();
  return {
    seconds: (performance.now() - start) / 1000,
    ratio: result.ratio,
    phases,
    longestDelay: delay.max / 1e6,
    tensorBytes: native().memory(device).peak,
  };
});
