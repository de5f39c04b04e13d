import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../common/abort.js';
import { EspalierError } from '../../common/errors.js';
import { checkDistinctOutput } from '../../formats/distinct-output.js';
import { OutputDirectory } from '../../formats/output-directory.js';
import { RUN_RECORD_FILE } from '../../formats/run-record.js';
import { resolveDevice } from '../../native/resolve-device.js';
import { Checkpoint } from '../../models/checkpoint.js';
import { PartialResult } from '../../pruning/partial-result.js';
import {
  type PruneOptions,
  type ResolvedPruneOptions,
  resolvePruneOptions,
} from './prune-options.js';
import type { PruneResult, ReproducibleResult } from './prune-result.js';
import { PruneRun } from './prune-run.js';
import { runFingerprint } from './prune-inputs.js';

/**
 * Prunes a language model after training, one layer in memory at a time, and writes the result as a
 * Hugging Face directory with a `run.json`. Interrupted, it leaves `OUTPUT.partial`, which `resume`
 * goes on with at the last finished layer, to the same bytes.
 * @param directory the model: config.json, safetensors weights, tokenizer.json
 * @throws EspalierError `CONFIG` for wrong options, missing files or an output that is in the way;
 * `FORMAT` and `UNSUPPORTED` for models and texts that can't be used; `ABORTED`; `OUT_OF_MEMORY`.
 */
export async function prune(directory: string, options: PruneOptions): Promise<PruneResult> {
  const started = performance.now();
  const resolved = resolvePruneOptions(options);
  const { signal, onProgress, resume = false, force = false } = options;
  throwIfAborted(signal, 'prune');
  const { device } = resolveDevice(resolved.device);
  const checkpoint = await Checkpoint.open(directory, { device });
  try {
    checkWindow(checkpoint, resolved);
    const inputs = { 'model that is to be pruned': directory };
    await checkDistinctOutput(resolved.output, inputs, 'prune');
    const fingerprint = await runFingerprint(checkpoint, resolved, signal);
    const finished = resume ? await finishedRun(resolved.output, fingerprint) : undefined;
    const timing = () => ({
      seconds: (performance.now() - started) / 1000,
      peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    });
    if (finished !== undefined) return { output: resolved.output, ...finished, ...timing() };
    const output = await OutputDirectory.open(resolved.output, { resume, force });
    try {
      const run = new PruneRun({
        directory,
        checkpoint,
        options: resolved,
        output,
        fingerprint,
        device,
        ...(signal === undefined ? {} : { signal }),
        ...(onProgress === undefined ? {} : { onProgress }),
      });
      // A run that was killed while it cleared its traces has nothing left to compute.
      const written = output.resumed ? await finishedRun(output.path, fingerprint) : undefined;
      const result = written ?? (await run.execute());
      await PartialResult.clear(output.path);
      await output.commit();
      return { output: resolved.output, ...result, ...timing() };
    } catch (error) {
      await output.suspend().catch(() => {});
      throw error;
    }
  } finally {
    checkpoint.close();
  }
}

function checkWindow({ config }: Checkpoint, { window }: ResolvedPruneOptions): void {
  if (window <= config.maxPositionEmbeddings) return;
  throw new EspalierError(
    'CONFIG',
    `window: expected at most the model's ${config.maxPositionEmbeddings} positions, got ${window}`,
    { op: 'prune', details: { option: 'window' } },
  );
}

/** The result of a run that was interrupted only after it was complete. */
async function finishedRun(
  output: string,
  fingerprint: string,
): Promise<ReproducibleResult | undefined> {
  try {
    const path = join(output, RUN_RECORD_FILE);
    if ((await stat(path)).size > 100_000_000) return undefined;
    const { metrics } = JSON.parse(await readFile(path, 'utf8'));
    return metrics?.fingerprint === fingerprint ? metrics.result : undefined;
  } catch {
    return undefined;
  }
}
