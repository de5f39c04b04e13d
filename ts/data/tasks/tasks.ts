import { arc } from './arc.js';
import { boolq } from './boolq.js';
import { hellaswag } from './hellaswag.js';
import { piqa } from './piqa.js';
import type { Task } from './task.js';
import { winogrande } from './winogrande.js';

/** The multiple-choice tasks by the names that the evaluation harness gives them. */
export const TASKS = {
  arc_easy: arc,
  arc_challenge: arc,
  piqa,
  boolq,
  hellaswag,
  winogrande,
} as const satisfies Record<string, Task>;

/** The name of a multiple-choice task. */
export type TaskName = keyof typeof TASKS;

/** All of them. */
export const TASK_NAMES = Object.keys(TASKS) as readonly TaskName[];
