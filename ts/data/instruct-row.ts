import type { ChatMessage } from './chat-template.js';
import type { BadRow } from './row-file.js';
import type { LearntText } from './sequence-encoder.js';

/** A row of a file to learn language from, as the tokenizer takes it. */
export type InstructRow = LearntText | { messages: ChatMessage[] };

/**
 * Reads a row of JSON lines: `{text}`, all of which is learnt; `{prompt, completion}`, of which the
 * completion is; or `{messages: [{role, content}, …]}`, of which the assistant's turns are.
 */
export function parseInstructRow(line: string): InstructRow | BadRow | undefined {
  if (line.trim() === '') return undefined;
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (error) {
    return { why: `it is not valid JSON (${(error as Error).message.slice(0, 120)})` };
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) {
    return { why: 'it is not a JSON object' };
  }
  const { text, prompt, completion, messages } = row as Record<string, unknown>;
  if (messages !== undefined) return parseMessages(messages);
  if (prompt !== undefined || completion !== undefined) {
    if (typeof prompt !== 'string') return { why: 'prompt is not text' };
    if (typeof completion !== 'string' || completion === '') {
      return { why: 'completion is not text, or empty' };
    }
    const whole = prompt + completion;
    return { text: whole, spans: [[prompt.length, whole.length]], specialTokens: true, ends: true };
  }
  if (text === undefined) return { why: 'it has none of text, prompt and completion, messages' };
  if (typeof text !== 'string' || text === '') return { why: 'text is not text, or empty' };
  return { text, spans: [[0, text.length]], specialTokens: true, ends: true };
}

function parseMessages(messages: unknown): InstructRow | BadRow {
  if (!Array.isArray(messages) || messages.length === 0) {
    return { why: 'messages is not a list of messages' };
  }
  for (const [i, message] of messages.entries()) {
    const { role, content } = (message ?? {}) as Record<string, unknown>;
    if (typeof role !== 'string') return { why: `message ${i + 1} has no role` };
    if (typeof content !== 'string') return { why: `message ${i + 1} has no text as its content` };
  }
  if (!messages.some(({ role }) => role === 'assistant')) {
    return { why: 'no message is by the assistant' };
  }
  return { messages };
}
