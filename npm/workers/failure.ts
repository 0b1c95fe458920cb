import { SAY } from '../messages';
import type { Failure } from '../protocol';

/** An error whose text is meant for the user: what happened, and what to do. */
export class UserError extends Error {
  constructor(readonly failure: Failure) {
    super(failure.title);
  }
}

/** What an exception says. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function describe(error: unknown): Failure {
  return error instanceof UserError ? error.failure : SAY.unexpected(reason(error));
}
