import { z } from 'zod';
import { strip } from './python-text.js';
import { taskOf } from './task.js';

const schema = z.object({
  sentence: z.string(),
  option1: z.string().min(1),
  option2: z.string().min(1),
  answer: z.union([z.enum(['1', '2']), z.literal(1), z.literal(2)]),
});

/**
 * WinoGrande: `dev.jsonl` as published. Both options are put into the sentence, and what is scored is
 * the rest of it, the same for both (Trinh and Le 2018, "partial" scoring).
 */
export const winogrande = taskOf({
  normalized: false,
  schema,
  question({ sentence, option1, option2, answer }) {
    const gap = sentence.indexOf('_');
    if (gap < 0) return 'the sentence has no _ to fill';
    const answers = [option1, option2].map((option) => sentence.slice(0, gap) + option);
    const continuation = ` ${strip(sentence.slice(gap + 1))}`;
    return {
      choices: answers.map((context) => ({ context, continuation })),
      answers,
      gold: Number(answer) - 1,
    };
  },
});
