"""Verilog of what is computed on words: the numbers in them are steps of a fixed-point type, channel 0 lowest."""

CASTS = """\
// From one fixed-point type to another, as ap_fixed assigns: DROP bits fall away (below 0: zeros are put behind).
module casts #(parameter N = 1, IW = 8, IS = 1, DROP = 0, RND = 0, EVEN = 0, SAT = 0, SYM = 0, OW = 8, OS = 1) (
    input [N*IW-1:0] in, output [N*OW-1:0] out
);
  localparam UP = DROP < 0 ? -DROP : 0, DOWN = DROP > 0 ? DROP : 0;
  localparam W = IW + UP + OW + DOWN + 2;
  localparam signed [W-1:0] ONE = 1;
  localparam signed [W-1:0] LOW = OS ? SYM - (ONE <<< (OW - 1)) : 0;
  localparam signed [W-1:0] HIGH = (ONE <<< (OW - (OS ? 1 : 0))) - ONE;
  localparam signed [W-1:0] HALF = RND && DOWN > 0 ? ONE <<< (DOWN > 0 ? DOWN - 1 : 0) : 0;
  genvar n;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire signed [W-1:0] wide = $signed({IS ? in[n*IW+IW-1] : 1'b0, in[n*IW +: IW]});
      wire signed [W-1:0] raised = wide <<< UP;
      wire tie_goes_down = EVEN && DOWN > 0 && !raised[DOWN];
      wire signed [W-1:0] moved = (raised + HALF - $signed({1'b0, tie_goes_down})) >>> DOWN;
      if (SAT) begin : held
        wire signed [W-1:0] kept = moved < LOW ? LOW : moved > HIGH ? HIGH : moved;
        assign out[n*OW +: OW] = kept[OW-1:0];
      end else assign out[n*OW +: OW] = moved[OW-1:0];
    end
  endgenerate
endmodule
"""

CLIPS = """\
// Between LOW and HIGH, which the same type holds.
module clips #(parameter N = 1, W = 8, S = 1, parameter signed [W:0] LOW = 0, parameter signed [W:0] HIGH = 0) (
    input [N*W-1:0] in, output [N*W-1:0] out
);
  genvar n;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire signed [W:0] value = $signed({S ? in[n*W+W-1] : 1'b0, in[n*W +: W]});
      wire signed [W:0] kept = value < LOW ? LOW : value > HIGH ? HIGH : value;
      assign out[n*W +: W] = kept[W-1:0];
    end
  endgenerate
endmodule
"""

LEAKS = """\
// Numbers below 0 times M, the others times 2^UP.
module leaks #(parameter N = 1, W = 8, S = 1, MW = 4, UP = 3, parameter signed [MW-1:0] M = 1) (
    input [N*W-1:0] in, output [N*(W+MW+UP)-1:0] out
);
  localparam OW = W + MW + UP;
  genvar n;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire signed [OW-1:0] value = $signed({S ? in[n*W+W-1] : 1'b0, in[n*W +: W]});
      wire signed [OW-1:0] less = value * M, more = value <<< UP;
      assign out[n*OW +: OW] = value < 0 ? less : more;
    end
  endgenerate
endmodule
"""

ADDS = """\
// The sum of two words of one signed type.
module adds #(parameter N = 1, W = 8) (input [N*W-1:0] a, input [N*W-1:0] b, output [N*(W+1)-1:0] out);
  genvar n;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire signed [W:0] left = $signed(a[n*W +: W]), right = $signed(b[n*W +: W]);
      assign out[n*(W+1) +: W+1] = left + right;
    end
  endgenerate
endmodule
"""

POOLS = """\
// The sum (MAX = 0) or the largest (MAX = 1) of K words, channel by channel.
module pools #(parameter N = 1, K = 4, W = 8, S = 1, OW = 10, MAX = 0) (input [K*N*W-1:0] in, output [N*OW-1:0] out);
  genvar n, k;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire signed [K*OW-1:0] kept;
      for (k = 0; k < K; k = k + 1) begin : place
        wire signed [OW-1:0] value = $signed({S ? in[(k*N+n)*W+W-1] : 1'b0, in[(k*N+n)*W +: W]});
        if (k == 0) assign kept[0 +: OW] = value;
        else begin : later
          wire signed [OW-1:0] earlier = kept[(k-1)*OW +: OW];
          assign kept[k*OW +: OW] = MAX ? (value > earlier ? value : earlier) : earlier + value;
        end
      end
      assign out[n*OW +: OW] = kept[(K-1)*OW +: OW];
    end
  endgenerate
endmodule
"""

DIVIDES = """\
// The quotient towards zero by a constant: the size times M, DOWN bits dropped.
module divides #(parameter N = 1, W = 8, S = 1, MW = 1, DOWN = 0, parameter [MW-1:0] M = 1) (
    input [N*W-1:0] in, output [N*W-1:0] out
);
  genvar n;
  generate
    for (n = 0; n < N; n = n + 1) begin : number
      wire negative = S ? in[n*W+W-1] : 1'b0;
      wire [W-1:0] size = negative ? -in[n*W +: W] : in[n*W +: W];
      wire [W+MW-1:0] product = size * M;
      wire [W-1:0] quotient = product >> DOWN;
      assign out[n*W +: W] = negative ? -quotient : quotient;
    end
  endgenerate
endmodule
"""

WORDS = "\n".join((CASTS, CLIPS, LEAKS, ADDS, POOLS, DIVIDES))
