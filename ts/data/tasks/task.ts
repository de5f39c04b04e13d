import type { z } from 'zod';

/** One choice of a question: how likely is `continuation` after `context`? */
export interface Choice {
  context: string;
  continuation: string;
}

/** A question with its possible answers. */
export interface Question {
  /** At least two. */
  choices: Choice[];
  /** The answers as published, by whose lengths log-likelihoods are normalised. */
  answers: string[];
  /** Index of the right choice. */
  gold: number;
}

/** A benchmark of multiple-choice questions: what its rows look like and what the model is asked. */
export interface Task {
  /** Whether the evaluation harness reports a length-normalised accuracy for it. */
  normalized: boolean;
  /** Labels stand in a second file, one a line, where the rows have none. */
  separateLabels: boolean;
  /**
   * The question of a row; a string says what is wrong with the row.
   * @param label the row's line of the second file
   */
  question(row: unknown, label?: string): Question | string;
}

/** A task whose rows are checked against a schema before they become questions. */
export function taskOf<Row>({
  schema,
  question,
  normalized,
  separateLabels = false,
}: {
  schema: z.ZodType<Row>;
  question: (row: Row, label: string | undefined) => Question | string;
  normalized: boolean;
  separateLabels?: boolean;
}): Task {
  return {
    normalized,
    separateLabels,
    question(row, label) {
      const parsed = schema.safeParse(row);
      return parsed.success ? question(parsed.data, label) : describe(parsed.error.issues);
    },
  };
}

/** The first thing that is wrong, with its place inside the row; of alternatives, in the closest one. */
function describe(issues: readonly z.core.$ZodIssue[], outer: readonly PropertyKey[] = []): string {
  const [issue] = issues;
  if (issue === undefined) return 'the row does not fit the task';
  const path = [...outer, ...issue.path];
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    return describe(
      issue.errors.reduce((a, b) => (b.length < a.length ? b : a)),
      path,
    );
  }
  return path.length === 0 ? issue.message : `${path.map(String).join('.')}: ${issue.message}`;
}

/** Choices that continue one context after a space. */
export function continuations(context: string, answers: readonly string[]): Choice[] {
  return answers.map((answer) => ({ context, continuation: ` ${answer}` }));
}
