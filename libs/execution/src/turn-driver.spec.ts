import type { StepRow, TurnRow } from '@tyrum/statestore/turns';
import { nextMove } from './turn-driver';

const cli = (cmd: string) => ({ type: 'CLI', args: { cmd, args: [] } });

function turn(kind: TurnRow['kind'], input: object): TurnRow {
  return { kind, input: JSON.stringify(input) } as TurnRow;
}

function step(index: number, action: object, rest: Partial<StepRow> = {}): StepRow {
  return {
    step_index: index,
    action: JSON.stringify(action),
    status: 'succeeded',
    result: '{}',
    error: null,
    ...rest,
  } as StepRow;
}

describe('a workflow', () => {
  const workflow = turn('workflow', { steps: [cli('a'), cli('b')] });

  it('goes through its steps and succeeds', () => {
    expect(nextMove(workflow, [])).toEqual({ kind: 'step', index: 0, action: cli('a'), effect: 'once' });
    expect(nextMove(workflow, [step(0, cli('a'))])).toMatchObject({ kind: 'step', index: 1, action: cli('b') });
    expect(nextMove(workflow, [step(0, cli('a')), step(1, cli('b'))])).toEqual({ kind: 'finish', status: 'succeeded' });
  });

  it('ends at the first failed step with its error', () => {
    const error = { code: 'exit_code', message: 'exited with 3' };
    const failed = step(0, cli('a'), { status: 'failed', error: JSON.stringify(error) });
    expect(nextMove(workflow, [failed])).toEqual({ kind: 'finish', status: 'failed', error });
  });
});

describe('a reply', () => {
  const chat = turn('chat', {});
  const llm = { type: 'Llm', args: {} };
  const call = (id: string, action?: object) => ({
    call_id: id,
    tool: 'cli',
    input: {},
    ...(action ? { action } : { error: 'bad' }),
  });
  const model = (index: number, text: string, calls: object[]) =>
    step(index, llm, { result: JSON.stringify({ text, calls }) });

  it('begins with a model call and ends with a text that asks for nothing', () => {
    expect(nextMove(chat, [])).toMatchObject({ kind: 'step', index: 0, action: { type: 'Llm' } });
    expect(nextMove(chat, [model(0, 'hi', [])])).toEqual({ kind: 'finish', status: 'succeeded', reply: 'hi' });
  });

  it('runs the calls in order, then asks again', () => {
    const steps = [model(0, '', [call('1', cli('a')), call('2', cli('b'))])];
    expect(nextMove(chat, steps)).toMatchObject({ index: 1, action: cli('a') });
    steps.push(step(1, cli('a')));
    expect(nextMove(chat, steps)).toMatchObject({ index: 2, action: cli('b') });
    steps.push(step(2, cli('b'), { status: 'failed', error: '{"code":"x","message":"y"}' }));
    expect(nextMove(chat, steps)).toMatchObject({ index: 3, action: { type: 'Llm' } });
  });

  it('tells the model of a malformed call instead of running it', () => {
    expect(nextMove(chat, [model(0, '', [call('1')])])).toMatchObject({ index: 1, action: { type: 'Llm' } });
  });

  it('answers that there is no model, and fails on other errors', () => {
    const failed = (code: string) => step(0, llm, { status: 'failed', error: JSON.stringify({ code, message: 'm' }) });
    expect(nextMove(chat, [failed('model_not_configured')])).toEqual({
      kind: 'finish',
      status: 'succeeded',
      reply: 'm',
    });
    expect(nextMove(chat, [failed('http_500')])).toMatchObject({ kind: 'finish', status: 'failed' });
  });
});
