import { z } from 'zod';
import { continuations, taskOf } from './task.js';

const truth = z.union([
  z.boolean(),
  z.enum(['true', 'false', '0', '1']).transform((text) => text === 'true' || text === '1'),
  z.union([z.literal(0), z.literal(1)]).transform((value) => value === 1),
]);

const superGlue = z.object({ question: z.string(), passage: z.string(), label: truth });

const google = z.object({
  question: z.string(),
  title: z.string(),
  passage: z.string(),
  answer: truth,
});

const schema = z.union([superGlue, google]);

/**
 * BoolQ: rows as SuperGLUE has them (`label`; the passage begins with its title) or as Google
 * publishes them (`title`, `answer`), which give the same prompt.
 */
export const boolq = taskOf({
  normalized: false,
  schema,
  question(row) {
    const [passage, right] =
      'label' in row ? [row.passage, row.label] : [`${row.title} -- ${row.passage}`, row.answer];
    const answers = ['no', 'yes'];
    return {
      choices: continuations(`${passage}\nQuestion: ${row.question}?\nAnswer:`, answers),
      answers,
      gold: right ? 1 : 0,
    };
  },
});
