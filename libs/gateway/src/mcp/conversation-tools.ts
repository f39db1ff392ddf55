import {
  ConversationListPayload,
  ConversationRefPayload,
  ConversationSendPayload,
  McpCreateConversation,
  McpSendMessage,
  validatePayload,
} from '@tyrum/protocol';
import type { Chats } from '../operations/chats';
import { ACTS, ADDS, keyOf, READS, tool, type McpTool } from './mcp-tool';

/** What can be done with conversations. */
export function conversationTools(chats: Chats): McpTool[] {
  return [
    tool({
      name: 'create_conversation',
      title: 'Create a conversation',
      description:
        'Creates a conversation with an agent. Its conversation_id is also the conversation_key of turns in it.',
      scope: 'operator.write',
      payload: McpCreateConversation,
      hints: ADDS,
      run: async (call, input) => (await chats.create(keyOf(call, 'create_conversation', input), input)).answer,
    }),
    tool({
      name: 'send_message',
      title: 'Send a message',
      description:
        'Sends a message to a conversation, which starts a turn that answers it; turn_id is what to wait for, and the reply is in ' +
        'the conversation then. Give an idempotency_key to call again safely after a lost answer.',
      scope: 'operator.write',
      payload: McpSendMessage,
      hints: ACTS,
      run: async (call, input) => {
        const { conversation_id, text, artifacts = [] } = input;
        const parts = [{ type: 'text', text }, ...artifacts.map((url) => ({ type: 'file', url }))];
        const messages = [{ id: call.newId(), role: 'user', parts }];
        const wish = { conversation_id, trigger: 'submit-message', messages };
        const payload = validatePayload(ConversationSendPayload, wish, 'arguments');
        const named = keyOf(call, 'send_message', input);
        const { answer } = await chats.send(named, call.caller.tokenId, payload);
        return { conversation_id, turn_id: answer.stream_id };
      },
    }),
    tool({
      name: 'list_conversations',
      title: 'List conversations',
      description: 'Conversations, the last changed first.',
      scope: 'operator.read',
      payload: ConversationListPayload,
      hints: READS,
      run: ({ caller }, input) => chats.list(caller.tenantId, input),
    }),
    tool({
      name: 'get_conversation',
      title: 'Read a conversation',
      description: 'A conversation with its newest messages.',
      scope: 'operator.read',
      payload: ConversationRefPayload,
      hints: READS,
      run: ({ caller }, { conversation_id }) => chats.get(caller.tenantId, conversation_id),
    }),
  ];
}
