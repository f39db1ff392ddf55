import {
  ContractError,
  problemOf,
  type ErrorCode,
  type ProblemDetails,
  type Violation,
  type WireErrorBody,
} from '@tyrum/protocol';

/** An error whose HTTP status is not the one of its code. */
export class HttpProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'HttpProblem';
  }
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  429: 'rate_limited',
  500: 'internal',
  503: 'overloaded',
};

/** The code of an error of which only the status is known. */
export function codeOf(status: number): ErrorCode {
  return CODES[status] ?? 'invalid_request';
}

/** A problem as we send it: a contract error names the fields at fault under `errors`. */
export type Problem = ProblemDetails;

/** The problem for an error body; `status` when it is not the code's own. */
export function toProblem(error: WireErrorBody, instance: string, status?: number): Problem {
  const { details, ...problem } = problemOf(error, { instance, ...(status === undefined ? {} : { status }) });
  if (details === undefined) return problem;
  return error.code === 'contract_error' ? { ...problem, errors: details as Violation[] } : { ...problem, details };
}

/** A contract error about a header, a path or a query. */
export function badInput(field: string, rule: string, message: string): ContractError {
  return ContractError.at(field, rule, message);
}
