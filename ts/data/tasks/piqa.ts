import { z } from 'zod';
import { continuations, taskOf } from './task.js';

const schema = z.object({
  goal: z.string(),
  sol1: z.string(),
  sol2: z.string(),
  label: z.union([z.string(), z.number()]).optional(),
});

/** PIQA: `valid.jsonl` with `valid-labels.lst` beside it, or rows that hold their `label`. */
export const piqa = taskOf({
  normalized: true,
  schema,
  separateLabels: true,
  question({ goal, sol1, sol2, label }, separate) {
    const answers = [sol1, sol2];
    const text = String(label ?? separate);
    if (text !== '0' && text !== '1') return `the label is ${JSON.stringify(text)}, not 0 or 1`;
    return {
      choices: continuations(`Question: ${goal}\nAnswer:`, answers),
      answers,
      gold: Number(text),
    };
  },
});
