import { ApprovalListPayload, McpResolveApproval } from '@tyrum/protocol';
import type { Gates } from '../operations/gates';
import { ACTS, keyOf, READS, tool, type McpTool } from './mcp-tool';

/** What can be done with approvals. */
export function approvalTools(gates: Gates): McpTool[] {
  return [
    tool({
      name: 'list_approvals',
      title: 'List approvals',
      description: 'What waits, or waited, for somebody to approve it; newest first.',
      scope: 'operator.approvals',
      payload: ApprovalListPayload,
      hints: READS,
      run: ({ caller }, input) => gates.list(caller.tenantId, input, 'arguments'),
    }),
    tool({
      name: 'resolve_approval',
      title: 'Approve or deny',
      description:
        'Approves or denies one execution of exactly what the approval shows; with mode "always" and overrides also what is like ' +
        'it from now on. The decision is a human’s to make.',
      scope: 'operator.approvals',
      payload: McpResolveApproval,
      hints: { ...ACTS, idempotentHint: true },
      run: async (call, input) => (await gates.resolve(keyOf(call, 'resolve_approval', input), input)).answer,
    }),
  ];
}
