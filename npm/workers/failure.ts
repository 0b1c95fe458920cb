import type { Failure } from '../protocol';

/** An error whose text is meant for the user: what happened, and what to do. */
export class UserError extends Error {
  constructor(
    title: string,
    readonly advice: string,
  ) {
    super(title);
  }
}

export function describe(error: unknown): Failure {
  if (error instanceof UserError) return { title: error.message, advice: error.advice };
  const text = error instanceof Error ? error.message : String(error);
  return {
    title: `Something went wrong: ${text}`,
    advice: 'Reload the page and try again. If it happens again with this file, the file may be damaged.',
  };
}
