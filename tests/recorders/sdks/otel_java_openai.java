// OpenTelemetry's instrumentation of OpenAI's SDK for Java. It puts content into log events. Run with CLASSPATH.
import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import com.openai.models.chat.completions.ChatCompletionFunctionTool;
import com.openai.models.chat.completions.ChatCompletionStreamOptions;
import com.openai.models.chat.completions.ChatCompletionToolMessageParam;
import com.openai.models.embeddings.EmbeddingCreateParams;
import io.opentelemetry.instrumentation.openai.v1_1.OpenAITelemetry;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

public class OtelJavaOpenAi {
    interface Scenario {
        void run() throws Exception;
    }

    static ChatCompletionFunctionTool tool(String name) {
        var parameters = FunctionParameters.builder().putAdditionalProperty("type", JsonValue.from("object"))
            .putAdditionalProperty("properties", JsonValue.from(Map.of("city", Map.of("type", "string"))))
            .putAdditionalProperty("required", JsonValue.from(List.of("city"))).build();
        return ChatCompletionFunctionTool.builder()
            .function(FunctionDefinition.builder().name(name).description("The weather of a city.").parameters(parameters).build()).build();
    }

    static ChatCompletionCreateParams.Builder ask(String prompt) {
        return ChatCompletionCreateParams.builder().model("gpt-4o-mini").addUserMessage(prompt);
    }

    public static void main(String[] names) throws Exception {
        OpenTelemetrySdk telemetry = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
        OpenAIClient client = OpenAITelemetry.builder(telemetry).setCaptureMessageContent(true).build()
            .wrap(OpenAIOkHttpClient.builder().fromEnv().maxRetries(0).timeout(Duration.ofSeconds(1)).build());
        var completions = client.chat().completions();
        var usage = ChatCompletionStreamOptions.builder().includeUsage(true).build();

        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("chat", () -> completions.create(ask("Capital of France?").build()));
        scenarios.put("chat_system", () -> completions.create(ChatCompletionCreateParams.builder().model("gpt-4o-mini").addSystemMessage("Answer shortly.")
            .addUserMessage("Capital of France?").temperature(0.2).maxTokens(100).user("u-1").build()));
        scenarios.put("chat_async", () -> client.async().chat().completions().create(ask("Capital of France?").build()).get(5, TimeUnit.SECONDS));
        scenarios.put("chat_stream", () -> {
            try (var stream = completions.createStreaming(ask("Capital of France?").streamOptions(usage).build())) {
                stream.stream().forEach(each -> { });
            }
        });
        scenarios.put("chat_stream_nousage", () -> {
            try (var stream = completions.createStreaming(ask("Capital of France?").build())) {
                stream.stream().forEach(each -> { });
            }
        });
        scenarios.put("chat_tools", () -> {
            var asked = ask("Weather in Paris?").addTool(tool("get_weather"));
            var message = completions.create(asked.build()).choices().get(0).message();
            var call = message.toolCalls().get().get(0).asFunction();
            completions.create(asked.addMessage(message).addMessage(ChatCompletionToolMessageParam.builder().toolCallId(call.id()).content("sunny").build()).build());
        });
        scenarios.put("chat_two_tools", () -> completions.create(ask("#two Weather?").addTool(tool("get_weather")).addTool(tool("get_time")).build()));
        scenarios.put("chat_stream_tools", () -> {
            try (var stream = completions.createStreaming(ask("Weather?").addTool(tool("get_weather")).streamOptions(usage).build())) {
                stream.stream().forEach(each -> { });
            }
        });
        scenarios.put("chat_length", () -> completions.create(ask("#length").build()));
        scenarios.put("chat_filter", () -> completions.create(ask("#filter").build()));
        scenarios.put("embeddings", () -> client.embeddings().create(EmbeddingCreateParams.builder().model("text-embedding-3-small").inputOfArrayOfStrings(List.of("Paris", "Rome")).build()));
        for (String mark : List.of("429", "401", "404", "500", "400-context", "400-filter", "slow", "reset")) {
            scenarios.put("error_" + mark.replace("400-", "").replace("slow", "timeout"), () -> completions.create(ask("#" + mark).build()));
        }
        scenarios.put("error_stream_429", () -> {
            try (var stream = completions.createStreaming(ask("#429").build())) {
                stream.stream().forEach(each -> { });
            }
        });
        scenarios.put("error_embeddings_429", () -> client.embeddings().create(EmbeddingCreateParams.builder().model("text-embedding-3-small").input("#429").build()));

        var lines = new BufferedReader(new InputStreamReader(System.in));
        for (String name : names.length > 0 ? List.of(names) : List.copyOf(scenarios.keySet())) {
            System.out.println(name);
            lines.readLine();
            int code = 0;
            try {
                scenarios.get(name).run();
            } catch (Exception error) {
                System.err.println(error);
                code = name.startsWith("error") ? 0 : 1;
            }
            Thread.sleep(100);
            telemetry.getSdkTracerProvider().forceFlush().join(10, TimeUnit.SECONDS);
            telemetry.getSdkLoggerProvider().forceFlush().join(10, TimeUnit.SECONDS);
            System.out.println(code);
            lines.readLine();
        }
        System.exit(0);
    }
}
