// OpenTelemetry's instrumentation of the AWS SDK for Java on Bedrock. It puts content into log events. Run with CLASSPATH.
import io.opentelemetry.instrumentation.awssdk.v2_2.AwsSdkTelemetry;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.client.config.ClientOverrideConfiguration;
import software.amazon.awssdk.core.document.Document;
import software.amazon.awssdk.core.retry.RetryPolicy;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;
import software.amazon.awssdk.services.bedrockruntime.model.ContentBlock;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseRequest;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamRequest;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.model.InvokeModelRequest;
import software.amazon.awssdk.services.bedrockruntime.model.Message;
import software.amazon.awssdk.services.bedrockruntime.model.SystemContentBlock;
import software.amazon.awssdk.services.bedrockruntime.model.Tool;
import software.amazon.awssdk.services.bedrockruntime.model.ToolConfiguration;
import software.amazon.awssdk.services.bedrockruntime.model.ToolInputSchema;
import software.amazon.awssdk.services.bedrockruntime.model.ToolResultContentBlock;

public class OtelJavaBedrock {
    static final String MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0";

    interface Scenario {
        void run() throws Exception;
    }

    static Message user(String text) {
        return Message.builder().role("user").content(ContentBlock.fromText(text)).build();
    }

    static ToolConfiguration tools(String... names) {
        var schema = Document.mapBuilder().putString("type", "object")
            .putDocument("properties", Document.mapBuilder().putDocument("city", Document.mapBuilder().putString("type", "string").build()).build())
            .putDocument("required", Document.listBuilder().addString("city").build()).build();
        List<Tool> tools = new ArrayList<>();
        for (String name : names) {
            tools.add(Tool.builder().toolSpec(spec -> spec.name(name).description("The weather of a city.").inputSchema(ToolInputSchema.fromJson(schema))).build());
        }
        return ToolConfiguration.builder().tools(tools).build();
    }

    static ConverseRequest.Builder ask(String prompt) {
        return ConverseRequest.builder().modelId(MODEL).messages(user(prompt));
    }

    public static void main(String[] names) throws Exception {
        OpenTelemetrySdk telemetry = AutoConfiguredOpenTelemetrySdk.initialize().getOpenTelemetrySdk();
        var aws = AwsSdkTelemetry.builder(telemetry).setGenaiCaptureMessageContent(true).build();
        var credentials = StaticCredentialsProvider.create(AwsBasicCredentials.create("test", "test"));
        var endpoint = URI.create(System.getenv("PROVIDER_URL") + "/bedrock");
        var options = ClientOverrideConfiguration.builder().addExecutionInterceptor(aws.createExecutionInterceptor()).retryPolicy(RetryPolicy.none()).build();
        var client = BedrockRuntimeClient.builder().region(Region.US_EAST_1).endpointOverride(endpoint).credentialsProvider(credentials).overrideConfiguration(options).build();
        var streams = aws.wrapBedrockRuntimeClient(
            BedrockRuntimeAsyncClient.builder().httpClientBuilder(NettyNioAsyncHttpClient.builder().protocol(Protocol.HTTP1_1)).region(Region.US_EAST_1).endpointOverride(endpoint).credentialsProvider(credentials).overrideConfiguration(options).build());

        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("chat", () -> client.converse(ask("Capital of France?").build()));
        scenarios.put("chat_system", () -> client.converse(ask("Capital of France?").system(SystemContentBlock.fromText("Answer shortly."))
            .inferenceConfig(each -> each.maxTokens(100).temperature(0.2f).topP(0.9f).stopSequences("END")).build()));
        scenarios.put("chat_tools", () -> {
            var answer = client.converse(ask("Weather in Paris?").toolConfig(tools("get_weather")).build()).output().message();
            var use = answer.content().get(0).toolUse();
            var result = Message.builder().role("user").content(ContentBlock.fromToolResult(each -> each.toolUseId(use.toolUseId()).content(ToolResultContentBlock.fromText("sunny")))).build();
            client.converse(ask("").messages(user("Weather in Paris?"), answer, result).toolConfig(tools("get_weather")).build());
        });
        scenarios.put("chat_two_tools", () -> client.converse(ask("#two Weather?").toolConfig(tools("get_weather", "get_time")).build()));
        scenarios.put("chat_stream", () -> streams.converseStream(ConverseStreamRequest.builder().modelId(MODEL).messages(user("Capital of France?")).build(),
            ConverseStreamResponseHandler.builder().subscriber(event -> { }).build()).get(10, TimeUnit.SECONDS));
        scenarios.put("chat_length", () -> client.converse(ask("#length").build()));
        scenarios.put("chat_filter", () -> client.converse(ask("#filter").build()));
        scenarios.put("invoke", () -> client.invokeModel(InvokeModelRequest.builder().modelId(MODEL).contentType("application/json")
            .body(SdkBytes.fromUtf8String("{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":100,\"messages\":[{\"role\":\"user\",\"content\":\"Capital of France?\"}]}")).build()));
        for (String mark : List.of("429", "401", "404", "500", "400-context", "reset")) {
            scenarios.put("error_" + mark.replace("400-", ""), () -> client.converse(ask("#" + mark).build()));
        }

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
