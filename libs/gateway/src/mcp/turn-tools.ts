import type { TurnAnswer, TurnReader } from '@tyrum/execution';
import {
  McpCancelTurn,
  McpListArtifacts,
  McpResolveStep,
  McpStartTurn,
  McpTurnRef,
  McpWaitForTurn,
  TurnListPayload,
} from '@tyrum/protocol';
import { notFound, RefusedError } from '../failures';
import type { ArtifactDesk } from '../operations/artifact-desk';
import { listTurns } from '../operations/turn-list';
import { resolutionOf, type Workflows } from '../operations/workflows';
import { ACTS, keyOf, READS, tool, type McpCall, type McpTool } from './mcp-tool';
import type { TurnWaits } from './turn-waits';

export interface TurnToolPorts {
  readonly workflows: Workflows;
  readonly reader: TurnReader;
  readonly desk: ArtifactDesk;
  readonly waits: TurnWaits;
}

/** What can be done with turns. */
export function turnTools({ workflows, reader, desk, waits }: TurnToolPorts): McpTool[] {
  return [
    tool({
      name: 'start_turn',
      title: 'Start a turn',
      description:
        'Starts a durable turn of one or more steps in a conversation and answers once it is accepted, before it runs. ' +
        'Give an idempotency_key to call again safely after a lost answer. The id of the turn is workflow_run_id.',
      scope: 'operator.write',
      payload: McpStartTurn,
      hints: ACTS,
      run: async (call, input) => (await workflows.start(keyOf(call, 'start_turn', input), input, 'arguments')).answer,
    }),
    tool({
      name: 'get_turn',
      title: 'Read a turn',
      description: 'A turn with its steps, their results, and what it waits for.',
      scope: 'operator.read',
      payload: McpTurnRef,
      hints: READS,
      run: async ({ caller }, { turn_id }) => {
        const turn = await reader.get(caller.tenantId, turn_id);
        if (!turn) throw notFound('turn');
        return turn;
      },
    }),
    tool({
      name: 'wait_for_turn',
      title: 'Wait for a turn',
      description:
        'Waits until a turn has ended (outcome "ended") or needs somebody, such as an approval (outcome "attention"), for ' +
        'timeout_ms at most; with outcome "running", wait again.',
      scope: 'operator.read',
      payload: McpWaitForTurn,
      hints: READS,
      run: (call, wish) => waitFor(waits, call, wish),
    }),
    tool({
      name: 'list_turns',
      title: 'List turns',
      description:
        'The newest turns first, of some statuses if wished; with dead: those that were given up. Pages: next_cursor as cursor.',
      scope: 'operator.read',
      payload: TurnListPayload,
      hints: READS,
      run: ({ caller: { tenantId } }, payload) => listTurns(reader, tenantId, payload, 'arguments'),
    }),
    tool({
      name: 'cancel_turn',
      title: 'Cancel a turn',
      description: 'Cancels a turn; what it runs is stopped. `cancelled` is false when it had ended before.',
      scope: 'operator.write',
      payload: McpCancelTurn,
      hints: { ...ACTS, idempotentHint: true, openWorldHint: false },
      run: async (call, input) => {
        const { answer } = await workflows.cancel(keyOf(call, 'cancel_turn', input), input.turn_id, input.reason);
        return { turn_id: input.turn_id, cancelled: answer.cancelled };
      },
    }),
    tool({
      name: 'resolve_step',
      title: 'Settle a step of unknown outcome',
      description:
        'Decides about the step a parked turn waits with, whose outcome is unknown: `retry` runs it again, `done` takes it for ' +
        'done, `fail` fails it. Only somebody who has looked can know which is true.',
      scope: 'operator.write',
      payload: McpResolveStep,
      hints: ACTS,
      run: async (call, input) => {
        const named = keyOf(call, 'resolve_step', input);
        return (await workflows.resolve(named, input.turn_id, resolutionOf(input))).answer;
      },
    }),
    tool({
      name: 'list_artifacts',
      title: "List a turn's artifacts",
      description: 'What a turn left as evidence; read one as the resource of its uri.',
      scope: 'operator.read',
      payload: McpListArtifacts,
      hints: READS,
      run: ({ caller }, { turn_id, ...page }) => desk.listByTurn(caller.tenantId, turn_id, page, 'arguments'),
    }),
  ];
}

async function waitFor(
  waits: TurnWaits,
  call: McpCall,
  { turn_id, timeout_ms, until }: McpWaitForTurn,
): Promise<object> {
  const { tenantId, tokenId } = call.caller;
  let reported = 0;
  const waited = await waits.wait({
    tenantId,
    tokenId,
    turnId: turn_id,
    timeoutMs: timeout_ms,
    until,
    signal: call.signal,
    // Progress may only grow; a look that finds nothing new says nothing.
    onProgress: ({ turn, steps }: TurnAnswer) => {
      const done = 1 + steps.filter(({ finished_at }) => finished_at !== null).length;
      if (done <= reported) return;
      reported = done;
      call.report(done, steps.length + 1, `${turn.status}, ${done - 1} of ${steps.length} steps`);
    },
  });
  if (!(await call.stillHolds())) {
    throw new RefusedError('token_ended', 'unauthorized', 'the token does not hold any more');
  }
  return waited;
}
