import { z } from 'zod';
import { capitalize, strip } from './python-text.js';
import { continuations, taskOf } from './task.js';

const schema = z.object({
  activity_label: z.string(),
  ctx_a: z.string(),
  ctx_b: z.string(),
  endings: z.array(z.string()).min(2),
  label: z.union([z.number().int(), z.string().regex(/^\d+$/)]),
});

/** HellaSwag: `hellaswag_val.jsonl` as published. */
export const hellaswag = taskOf({
  normalized: true,
  schema,
  question({ activity_label, ctx_a, ctx_b, endings, label }) {
    const gold = Number(label);
    if (gold < 0 || gold >= endings.length) {
      return `the label is ${gold}, but there are ${endings.length} endings`;
    }
    const answers = endings.map(cleaned);
    const context = cleaned(`${activity_label}: ${ctx_a} ${capitalize(ctx_b)}`);
    return { choices: continuations(context, answers), answers, gold };
  },
});

/** Without the traces of WikiHow's headings, `[header]`, `[title]`, `[step]`. */
function cleaned(text: string): string {
  return strip(text)
    .replaceAll(' [title]', '. ')
    .replace(/\[[^\n]*?\]/g, '')
    .replaceAll('  ', ' ');
}
