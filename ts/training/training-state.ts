import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EspalierError } from '../common/errors.js';
import { fileError } from '../common/file-error.js';
import { readFloats } from '../formats/read-floats.js';
import { readJsonFile } from '../formats/read-json-file.js';
import type { TensorEntry } from '../formats/safetensors-header.js';
import { readSafetensors } from '../formats/safetensors-reader.js';
import { writeSafetensors } from '../formats/safetensors-writer.js';
import { syncDirectoryOf } from '../formats/sync-directory.js';
import type { TensorSource } from '../formats/tensor-source.js';
import { writeJsonFile } from '../formats/write-json-file.js';

const whole = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const schema = z.object({
  version: z.literal(1),
  step: whole,
  epoch: whole,
  batch: whole,
  seed: whole,
  fingerprint: z.string(),
  schedule: z.record(z.string(), z.unknown()),
  totals: z.record(z.string(), z.number()),
});

/** Where a training stands, beside its tensors. */
export interface TrainingProgress {
  /** Optimiser steps taken. */
  step: number;
  /** Passes over the data that are complete. */
  epoch: number;
  /** Batches of the current pass that are used up. */
  batch: number;
  /** Seed of every random choice; what was drawn follows from it and the counters. */
  seed: number;
  /** Identifies options and inputs: a training is resumed only with the same ones. */
  fingerprint: string;
  /** The learning-rate schedule and its own state. */
  schedule: Readonly<Record<string, unknown>>;
  /** Running figures: skipped steps, tokens seen, best loss … */
  totals: Readonly<Record<string, number>>;
}

/** A checkpoint on disk: its progress, and its tensors by name, still in the file. */
export interface TrainingState {
  progress: TrainingProgress;
  entries: ReadonlyMap<string, TensorEntry>;
  /**
   * Reads one tensor.
   * @throws EspalierError `FORMAT` when there is none of that name
   */
  floats(name: string): Promise<Float32Array>;
}

const TENSORS_FILE = 'state.safetensors';
const PROGRESS_FILE = 'state.json';
const COMPLETE = /^checkpoint-(\d{1,15})$/;
const LEFTOVER = /^checkpoint-\d{1,15}\.(writing|removed)$/;

/**
 * Saves a checkpoint as `checkpoint-STEP` in a directory. It appears under its name only when it is
 * complete on the disk, and only then older ones go: whenever the process is killed, the last
 * complete one can be read. A step that is there already, as after a resume, stays as it is.
 * @param sources the tensors: weights that are trained, and the optimiser's state
 * @throws EspalierError `CONFIG` when it can't be written, and what the sources throw.
 */
export async function writeTrainingState(
  directory: string,
  progress: TrainingProgress,
  sources: readonly TensorSource[],
): Promise<void> {
  const path = join(directory, `checkpoint-${progress.step}`);
  const unfinished = `${path}.writing`;
  try {
    await removeLeftovers(directory);
    if ((await steps(directory)).includes(progress.step)) return;
    await mkdir(unfinished);
    await writeSafetensors(join(unfinished, TENSORS_FILE), sources);
    await writeJsonFile(join(unfinished, PROGRESS_FILE), { version: 1, ...progress });
    await rename(unfinished, path);
    await syncDirectoryOf(path);
    for (const step of await steps(directory)) {
      if (step < progress.step) await remove(join(directory, `checkpoint-${step}`));
    }
  } catch (error) {
    throw fileError(error, 'write', path);
  }
}

/**
 * Opens the checkpoint with the highest step.
 * @returns undefined when the directory has none
 * @throws EspalierError `FORMAT` when it is broken, `CONFIG` when it can't be read.
 */
export async function readTrainingState(directory: string): Promise<TrainingState | undefined> {
  const last = (await steps(directory)).at(-1);
  if (last === undefined) return undefined;
  const path = join(directory, `checkpoint-${last}`);
  const file = join(path, PROGRESS_FILE);
  const parsed = schema.safeParse(await readJsonFile(file));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') || 'the whole';
    throw new EspalierError('FORMAT', `${file}: ${field}: ${issue?.message ?? 'invalid'}`);
  }
  const { version: _, ...progress } = parsed.data;
  const { entries } = await readSafetensors(join(path, TENSORS_FILE));
  return {
    progress,
    entries,
    async floats(name) {
      const entry = entries.get(name);
      if (entry !== undefined) return readFloats(entry);
      throw new EspalierError('FORMAT', `${path} has no tensor ${name}`);
    },
  };
}

/** Removes every checkpoint of a directory, as when the training is done. */
export async function clearTrainingState(directory: string): Promise<void> {
  await removeLeftovers(directory);
  for (const step of await steps(directory)) await remove(join(directory, `checkpoint-${step}`));
}

/** The steps of the complete checkpoints, in ascending order. */
async function steps(directory: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await list(directory)) {
    const match = COMPLETE.exec(name);
    if (match !== null) found.push(Number(match[1]));
  }
  return found.sort((x, y) => x - y);
}

async function removeLeftovers(directory: string): Promise<void> {
  for (const name of await list(directory)) {
    if (LEFTOVER.test(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Half-removed, it has another name already. */
async function remove(path: string): Promise<void> {
  try {
    await rename(path, `${path}.removed`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw fileError(error, 'remove', path);
  }
  await rm(`${path}.removed`, { recursive: true, force: true });
}

async function list(directory: string): Promise<string[]> {
  return readdir(directory).catch((error) => {
    throw fileError(error, 'read', directory);
  });
}
