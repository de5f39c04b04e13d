import { z } from 'zod';
import { continuations, taskOf } from './task.js';

const published = z
  .object({
    question: z.object({
      stem: z.string(),
      choices: z.array(z.object({ text: z.string(), label: z.string() })).min(2),
    }),
    answerKey: z.string(),
  })
  .transform(({ question: { stem, choices }, answerKey }) => ({
    stem,
    answers: choices.map(({ text }) => text),
    labels: choices.map(({ label }) => label),
    answerKey,
  }));

const columns = z
  .object({
    question: z.string(),
    choices: z.object({ text: z.array(z.string()).min(2), label: z.array(z.string()) }),
    answerKey: z.string(),
  })
  .transform(({ question, choices, answerKey }) => ({
    stem: question,
    answers: choices.text,
    labels: choices.label,
    answerKey,
  }));

/**
 * ARC, easy and challenge: rows as AI2 publishes them (`question.stem`, `question.choices`) or as the
 * Hugging Face data set has them (`question`, `choices.text`, `choices.label`).
 */
export const arc = taskOf({
  normalized: true,
  schema: z.union([published, columns]),
  question({ stem, answers, labels, answerKey }) {
    if (labels.length !== answers.length) {
      return `${answers.length} choices have ${labels.length} labels`;
    }
    const gold = labels.indexOf(answerKey);
    if (gold < 0) return `answerKey is ${answerKey}, but the labels are ${labels.join(', ')}`;
    return { choices: continuations(`Question: ${stem}\nAnswer:`, answers), answers, gold };
  },
});
