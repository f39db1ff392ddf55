import { OverloadedError } from '@tyrum/execution';
import { ContractError } from '@tyrum/protocol';
import { StoreUnavailableError, UnknownCommitError } from '@tyrum/statestore';
import { KeyReusedError, notFound, wireErrorOf } from './failures';

function told(error: unknown) {
  const logged: unknown[] = [];
  return { body: wireErrorOf(error, (unexpected) => logged.push(unexpected)), logged };
}

it('hands typed answers on as they are, and logs none of them', () => {
  for (const error of [
    notFound('turn'),
    new KeyReusedError(),
    ContractError.at('payload.a', 'isInt', 'must be whole'),
  ]) {
    expect(told(error)).toEqual({ body: error.toBody(), logged: [] });
  }
});

it('says when to try again while nothing can be written', () => {
  expect(told(new OverloadedError()).body).toMatchObject({ code: 'overloaded', details: { retry_after_ms: 1_000 } });
  const down = told(new StoreUnavailableError('connect ECONNREFUSED 10.0.0.7:5432', 250));
  expect(down.body).toMatchObject({ code: 'overloaded', details: { retry_after_ms: 250 } });
  expect(down.body.message).not.toContain('10.0.0.7');
});

it('calls a cut commit unknown, and says how to learn its outcome', () => {
  const { body, logged } = told(new UnknownCommitError());
  expect(body.code).toBe('internal');
  expect(body.message).toMatch(/unknown.*repeat.*same request_id/);
  expect(logged).toHaveLength(1);
});

it('keeps what went wrong inside to the log', () => {
  const error = new Error('select * from auth_token failed');
  const { body, logged } = told(error);
  expect(body).toEqual({ code: 'internal', message: 'the gateway failed to handle this request' });
  expect(logged).toEqual([error]);
});
