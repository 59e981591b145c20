"""What ``--help`` of each command shows for an example."""

EXAMPLES = {
    "init": (("Find the samples beside a model, and the command for both", "init model.onnx"),),
    "compress": (
        ("Half the multiplications", "compress model.onnx -o smaller.onnx --target macs=0.5x --data samples.npz"),
        (
            "Half the time on one thread of this machine",
            "compress model.onnx -o faster.onnx --target latency=0.5x --data samples.npz --threads 1",
        ),
        (
            "The least that loses one percent, with a page to look at",
            "compress model.onnx -o smaller.onnx --max-drop 1% --data samples.npz --report smaller.html",
        ),
    ),
    "sweep": (("A model for each of three targets", "sweep model.onnx --targets 0.9x,0.7x,0.5x -o front"),),
    "replay": (("The model of a report again, byte for byte", "replay smaller.json -o again.onnx"),),
    "fix": (("A model for one sampling rate, of one that takes two", "fix vad.onnx -o vad16.onnx --set sr=16000"),),
    "run": (
        ("Only the passes that change no output", "run in.onnx -o out.onnx --passes fold-constants,fold-batch-norm"),
    ),
    "analyse": (
        ("What can go, and what cannot and why", "analyse model.onnx"),
        ("What holds one tensor", "analyse model.onnx --why conv_1_out"),
    ),
    "explain": (("What ties a layer, and how sensitive it is", "explain model.onnx conv_1 --report smaller.json"),),
    "diff": (("What a compression changed, as a page", "diff model.onnx smaller.onnx --html changes.html"),),
    "verify": (("Whether two models compute the same", "verify a.onnx b.onnx --data samples.npz"),),
    "bench": (("Which of two models is faster, and where", "bench model.onnx smaller.onnx --profile"),),
    "hls": (
        ("An hls4ml project of 8 bits", "hls model.onnx --project made --data samples.npz --bits 8"),
        (
            "One layer with fewer bits and multipliers",
            "hls model.onnx --project made --data samples.npz --layer conv1:bits=4,reuse=16",
        ),
    ),
    "demo": (("See it work on a network that ships", "demo"),),
    "recipes": (("List them", "recipes"),),
    "passes": (("List them with their options", "passes"),),
    "cache": (("What is kept, and where", "cache info"), ("Remove it", "cache clear")),
}


def shown(command: str) -> str:
    """Return the examples of a command as ``--help`` shows them: a blank line ends each line there."""
    lines = [line for about, words in EXAMPLES[command] for line in (f"{about}:", f"  $ optimise-onnx {words}")]
    return "\n\n".join(["Examples:" if len(EXAMPLES[command]) > 1 else "Example:", *lines])
